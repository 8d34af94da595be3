// Small things that every view draws with: elements, numbers, tensors, bars, panels, the mark of proof, the slider of time.

import { numbers } from './api.js';

const SVG = 'http://www.w3.org/2000/svg';

function there(child) {
  return child !== undefined && child !== null && child !== false;
}

function build(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (!there(value)) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'style') Object.entries(value).forEach(([key, one]) => made.style.setProperty(key, one));
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat(Infinity).filter(there));
  return made;
}

// An element; attributes that begin with `on` are listeners, `style` is an object, `false` leaves one out.
export const el = (name, attributes = {}, ...children) => build(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => build(document.createElementNS(SVG, name), attributes, children);

export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter(there));
}

// --- Numbers

// Counts with thousands, others to some significant digits. JSON has no NaN: it comes as text.
export function show(number, digits = 4) {
  if (!there(number)) return '–';
  const value = Number(number);
  if (!Number.isFinite(value)) return String(number);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString('en');
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(Math.max(1, digits - 2));
  return String(Number(value.toPrecision(digits)));
}

export const percent = (share, digits = 1) => (there(share) ? `${(100 * Number(share)).toFixed(digits)} %` : '–');

export const shape = (dims) => `[${dims.join(', ')}]`;

// --- Colours

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// What a value becomes between the ground and the colour of its sign: r, g, b.
function scale() {
  const triple = (name) => colour(name).split(/\s+/).map(Number);
  const [zero, plus, minus] = ['zero', 'plus', 'minus'].map(triple);
  return (share) => {
    if (Number.isNaN(share)) return [0, 170, 0];
    const to = share < 0 ? minus : plus;
    const far = Math.min(1, Math.abs(share)) ** 0.8;
    return zero.map((from, at) => from + (to[at] - from) * far);
  };
}

// --- Tensors

// How the numbers of a shape are laid out as tiles: [C, H, W] one for each channel, [O, I, H, W] a row for each O, [H, W] one.
function tiles(dims) {
  const [width = 1, height = 1] = [dims.at(-1), dims.at(-2)];
  if (dims.length >= 4) return { down: dims.slice(0, -3).reduce((a, b) => a * b, 1), across: dims.at(-3), height, width };
  if (dims.length === 3) return { down: 1, across: dims[0], height, width };
  if (dims.length === 2) return { down: 1, across: 1, height, width };
  return { down: 1, across: 1, height: 1, width: dims[0] ?? 1 };
}

const MOST_TILES = 128;

// A tensor as a canvas: blue below 0, red above, the ground at 0. `room` is the width that there is; `tile` the height that a
// tile should come to. Says under the pointer which number it is.
export function tensorCanvas(tensor, { room = 600, tile = 40, most = MOST_TILES } = {}) {
  const data = numbers(tensor);
  const dims = tensor.shape;
  let { down, across, height, width } = tiles(dims);
  const rgb = dims.length === 4 && dims[1] === 3;
  const vector = dims.length < 2;
  const size = height * width;
  let columns = across;
  if (rgb) [down, across] = [1, dims[0]];
  // Of a matrix that was cut the rows that came.
  if (dims.length === 2 && data.length < size) height = Math.max(1, Math.floor(data.length / Math.max(1, width)));
  const perTile = rgb ? 3 * height * width : height * width;
  let count = Math.min(down * across, most, Math.floor(data.length / Math.max(1, perTile)));
  const high = height;
  if (vector) {
    // A vector is a strip of cells, broken into lines that fit.
    const cell = Math.max(4, Math.min(14, Math.floor(room / Math.min(width, 64))));
    const perLine = Math.max(1, Math.min(width, Math.floor(room / cell)));
    return strip(data, tensor, perLine, cell);
  }
  const zoom = Math.max(1, Math.min(16, Math.round(tile / Math.max(height, width)), Math.floor((room - 2) / width)));
  const gap = count > 1 ? 3 : 0;
  const [cellX, cellY] = [width * zoom + gap, high * zoom + gap];
  const fit = Math.max(1, Math.floor((room + gap) / cellX));
  // Filters keep their rows if these fit; anything else flows.
  columns = dims.length >= 4 && !rgb && across > 1 && across <= fit ? across : Math.min(fit, count);
  // What is cut is cut at the end of a line.
  if (count < down * across && count > columns) count -= count % columns;
  const lines = Math.ceil(count / Math.max(1, columns));
  const canvas = el('canvas', { width: Math.max(1, columns * cellX - gap), height: Math.max(1, lines * cellY - gap), class: 'tensor' });
  const context = canvas.getContext('2d');
  let extent = 0;
  for (const value of data) if (Math.abs(value) > extent && Number.isFinite(value)) extent = Math.abs(value);
  const draw = () => {
    const hue = scale();
    context.clearRect(0, 0, canvas.width, canvas.height);
    const image = context.createImageData(width * zoom, high * zoom);
    for (let n = 0; n < count; n += 1) {
      const start = n * perTile;
      const own = rgb ? contrast(data, start, perTile) : null;
      for (let y = 0; y < high * zoom; y += 1) {
        for (let x = 0; x < width * zoom; x += 1) {
          const at = start + Math.floor(y / zoom) * width + Math.floor(x / zoom);
          const out = (y * width * zoom + x) * 4;
          const [r, g, b] = rgb ? [0, 1, 2].map((c) => own(data[at + c * size])) : hue(data[at] / (extent || 1));
          image.data[out] = r;
          image.data[out + 1] = g;
          image.data[out + 2] = b;
          image.data[out + 3] = 255;
        }
      }
      context.putImageData(image, (n % columns) * cellX, Math.floor(n / columns) * cellY);
    }
  };
  draw();
  const place = (x, y) => {
    const [column, line] = [Math.floor(x / cellX), Math.floor(y / cellY)];
    const [inX, inY] = [Math.floor((x % cellX) / zoom), Math.floor((y % cellY) / zoom)];
    const n = line * columns + column;
    if (inX >= width || inY >= height || column >= columns || n >= count) return null;
    const at = n * perTile + inY * width + inX;
    return { at, value: data[at] };
  };
  return finished(canvas, draw, place, dims);
}

// Filters of three channels are pictures: each brought to its own range.
function contrast(data, start, count) {
  let [least, most] = [Infinity, -Infinity];
  for (let at = start; at < start + count; at += 1) {
    least = Math.min(least, data[at]);
    most = Math.max(most, data[at]);
  }
  return (value) => (255 * (value - least)) / (most - least || 1);
}

function strip(data, tensor, perLine, cell) {
  const lines = Math.ceil(data.length / perLine);
  const canvas = el('canvas', { width: Math.max(1, perLine * cell), height: Math.max(1, lines * (cell + 2)), class: 'tensor' });
  const context = canvas.getContext('2d');
  let extent = 0;
  for (const value of data) if (Math.abs(value) > extent && Number.isFinite(value)) extent = Math.abs(value);
  const draw = () => {
    const hue = scale();
    context.clearRect(0, 0, canvas.width, canvas.height);
    data.forEach((value, at) => {
      const [r, g, b] = hue(value / (extent || 1)).map(Math.round);
      context.fillStyle = `rgb(${r} ${g} ${b})`;
      context.fillRect((at % perLine) * cell, Math.floor(at / perLine) * (cell + 2), cell - 1, cell);
    });
  };
  draw();
  const place = (x, y) => {
    const at = Math.floor(y / (cell + 2)) * perLine + Math.floor(x / cell);
    return at < data.length && x < perLine * cell ? { at, value: data[at] } : null;
  };
  return finished(canvas, draw, place, tensor.shape);
}

function finished(canvas, draw, place, dims) {
  canvas.addEventListener('mousemove', (event) => {
    const box = canvas.getBoundingClientRect();
    const found = place(((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height);
    tip(found && `${shape(indexOf(found.at, dims))}  ${show(found.value, 6)}`, event);
  });
  canvas.addEventListener('mouseleave', () => tip(null));
  const again = () => (canvas.isConnected ? draw() : removeEventListener('themed', again));
  addEventListener('themed', again);
  return canvas;
}

function indexOf(at, dims) {
  const index = [];
  let rest = at;
  for (const size of [...dims].reverse()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return index;
}

// --- What is said beside the pointer

const tipBox = el('div', { class: 'tip', hidden: true });
document.body.append(tipBox);

export function tip(text, event) {
  tipBox.hidden = !text;
  if (!text) return;
  fill(tipBox, text);
  const [width, height] = [tipBox.offsetWidth, tipBox.offsetHeight];
  const left = Math.min(event.clientX + 12, innerWidth - width - 8);
  const top = event.clientY + 16 + height > innerHeight ? event.clientY - height - 8 : event.clientY + 16;
  tipBox.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
}

// --- Bars

// A table of labelled shares: [{ label, share, text, more, mark }]. `mark` is 'good', 'bad', 'best' or nothing; `more` is a last
// column; `heads` names the columns.
export function bars(items, { label = 'class', heads } = {}) {
  const row = (item) => el('tr', { class: item.mark },
    el('th', { scope: 'row', title: item.label }, item.label),
    el('td', { class: 'bar' }, el('span', { style: { '--share': Math.max(0, Math.min(1, item.share)) } })),
    el('td', { class: 'number' }, item.text ?? percent(item.share)),
    item.more === undefined ? null : el('td', { class: 'number' }, item.more));
  return el('table', { class: 'bars' },
    el('caption', { class: 'sr' }, `Share by ${label}`),
    heads ? el('thead', {}, el('tr', {}, heads.map((head, at) => el('th', { scope: 'col', class: at > 1 ? 'number' : undefined }, head)))) : null,
    el('tbody', {}, items.map(row)));
}

// --- Pictures of rows

export function thumb(picture, { label = '', title = '', mark = '', href, onclick, selected, said } = {}) {
  const none = said ? el('span', { class: 'said' }, said) : el('span', { class: 'no-picture' }, '–');
  const face = picture ? el('img', { src: picture, alt: label || 'row', loading: 'lazy' }) : none;
  const words = label ? el('span', { class: 'label' }, label) : null;
  const attributes = { class: `thumb ${mark}`, title, 'aria-current': selected ? 'true' : undefined };
  return href ? el('a', { ...attributes, href }, face, words) : el('button', { ...attributes, type: 'button', onclick }, face, words);
}

// --- Proof

// How an answer was made: "recomputed, verified", with the way in words.
export function proof(made) {
  if (!made) return null;
  const { step, from, made: count, recorded, hashes, verified } = made;
  const begin = from === 0 ? 'the seed' : `the checkpoint of step ${show(from)}`;
  const way = count === 0 ? `Read from ${begin}` : `${show(count)} ${count === 1 ? 'step' : 'steps'} made again from ${begin}`;
  const met = count === 0
    ? (from > 0 ? '; its SHA-256 is that of its manifest.' : '.')
    : `; figures of ${show(recorded)} and ${show(hashes)} ${hashes === 1 ? 'hash' : 'hashes'} of the whole state equal the ledger, bit for bit.`;
  const made0 = step === 0 && from === 0;
  const words = made0 ? 'as the seed made it' : verified ? (hashes > 0 || (count === 0 && from > 0) ? 'recomputed, hash verified' : 'recomputed, verified') : 'recomputed, nothing to verify with';
  return el('span', { class: verified ? 'proof yes' : 'proof', title: `Step ${show(step)}. ${way}${met}`, tabindex: 0 }, verified ? '✓ ' : '', words);
}

// --- Panels

// A titled box whose content comes from an answer. While it comes the last content stays, dimmed, so that nothing jumps.
export function panel(title, { note = '', wide = false, tools = [], least } = {}) {
  const mark = el('span', { class: 'mark' });
  const body = el('div', { class: 'body', style: least ? { 'min-height': least } : {} });
  const element = el('section', { class: `panel${wide ? ' wide' : ''}` },
    el('header', {}, el('h2', {}, title), mark, el('div', { class: 'tools' }, tools)),
    note ? el('p', { class: 'note' }, note) : null,
    body);
  let asked = null;
  return {
    element,
    body,
    // Asks, and shows what comes; a question asked before is dropped.
    async load(ask, render) {
      asked?.abort();
      const own = new AbortController();
      asked = own;
      element.setAttribute('aria-busy', 'true');
      if (!body.childNodes.length) fill(body, el('p', { class: 'waiting' }, 'Asking …'));
      try {
        const answer = await ask(own.signal);
        if (asked !== own) return;
        fill(body, render(answer));
        fill(mark, proof(answer?.proof));
      } catch (error) {
        if (asked !== own || error.name === 'AbortError') return;
        fill(body, failure(error));
        fill(mark);
      }
      element.removeAttribute('aria-busy');
    },
    clear(text) {
      asked?.abort();
      asked = null;
      element.removeAttribute('aria-busy');
      fill(body, el('p', { class: 'empty' }, text));
      fill(mark);
    },
    stop() {
      asked?.abort();
    },
  };
}

// Asks, for the panel of a name, only for what it does not show already; `forget` makes it ask again.
export function asker(panels, run, api) {
  const shown = {};
  const ask = (name, values, path, render) => {
    const key = JSON.stringify(values);
    if (shown[name] === key) return;
    shown[name] = key;
    panels[name].load((signal) => api.get(path, { run, ...values }, { signal }), render);
  };
  return { ask, forget: (name) => delete shown[name] };
}

// An error of the library: what, then what helps.
export function failure(error) {
  const [what, ...rest] = String(error.message ?? error).split('\n');
  return el('div', { class: 'error', role: 'alert' }, el('p', {}, what), rest.map((line) => el('p', { class: 'soft' }, line.trim())));
}

export const empty = (...text) => el('p', { class: 'empty' }, ...text);

// The width that content has in an element.
export const roomOf = (element, other = 600) => Math.max(160, Math.floor(element.clientWidth || other));

// --- The slider of time

// A slider over the steps of a run; the step is `step` in the address. `facts` is the answer of /api/run. Returns
// { element, update }.
export function stepSlider(state, facts, { first = 0 } = {}) {
  const begin = Math.max(first, facts.first ?? 0);
  const range = el('input', { type: 'range', min: begin, step: 1, 'aria-label': 'Step' });
  const number = el('input', { type: 'number', min: begin, 'aria-label': 'Step', class: 'step-number' });
  const of = el('span', { class: 'soft' });
  const ticks = el('div', { class: 'ticks', 'aria-hidden': 'true' });
  const saved = () => facts.checkpoints.filter((step) => step >= begin && step <= facts.step);
  const jump = (to) => {
    const current = stepOf(state, facts, { first });
    const found = to < 0 ? saved().filter((step) => step < current).at(-1) ?? begin : saved().find((step) => step > current) ?? facts.step;
    state.set({ step: found });
  };
  let timer = 0;
  const later = (value) => {
    clearTimeout(timer);
    number.value = value;
    timer = setTimeout(() => state.set({ step: Math.min(facts.step, Math.max(begin, Math.round(Number(value) || 0))) }), 150);
  };
  range.addEventListener('input', () => later(range.value));
  number.addEventListener('change', () => later(number.value));
  const step = (event) => later(Math.min(facts.step, Math.max(begin, Number(number.value) + event.detail)));
  addEventListener('stepped', step);
  const element = el('div', { class: 'slider' },
    el('label', { class: 'of' }, 'After step ', number, of),
    el('button', { type: 'button', class: 'quiet', title: 'To the checkpoint before', 'aria-label': 'To the checkpoint before', onclick: () => jump(-1) }, '‹'),
    el('div', { class: 'track' }, range, ticks),
    el('button', { type: 'button', class: 'quiet', title: 'To the next checkpoint', 'aria-label': 'To the next checkpoint', onclick: () => jump(1) }, '›'));
  let drawn = '';
  const update = () => {
    const last = facts.step;
    range.max = last;
    number.max = last;
    of.textContent = ` of ${show(last)}${facts.live ? ', training' : ''}`;
    const share = (at) => (last > begin ? (at - begin) / (last - begin) : 0);
    const key = `${last} ${facts.checkpoints}`;
    if (key !== drawn) fill(ticks, saved().slice(-400).map((at) => el('i', { style: { '--share': share(at) } })));
    drawn = key;
    const current = stepOf(state, facts, { first });
    if (document.activeElement !== number) number.value = current;
    range.value = current;
  };
  update();
  return { element, update, stop: () => { clearTimeout(timer); removeEventListener('stepped', step); } };
}

// The step of the address, or the newest checkpoint when the run was opened: a run that is trained is not looked at anew with each
// of its checkpoints, which would take time from the training.
export function stepOf(state, facts, { first = 0 } = {}) {
  const begin = Math.max(first, facts.first ?? 0);
  facts.usual ??= facts.checkpoints.filter((step) => step <= facts.step).at(-1) ?? facts.step;
  return Math.min(facts.step, Math.max(begin, Math.round(state.number('step', facts.usual))));
}

// --- Layers

// Few maps are drawn large, many small.
function tileFor(dims, room) {
  const maps = dims.length === 3 ? Math.min(64, dims[0]) : 1;
  return Math.max(44, Math.min(96, Math.floor(room / maps) - 4));
}

// What every layer made of an input: a row for each, with its picture.
export function layersList(answer, room) {
  const row = (layer, words) => {
    const { zeros, count, min, max } = layer.stats;
    const facts = [shape(layer.shape), `${show(min, 3)} to ${show(max, 3)}`];
    if (zeros > 0 && layer.name) facts.push(`${percent(zeros / count, 0)} zero`);
    return el('li', {},
      el('div', { class: 'about' }, el('strong', {}, words), el('span', { class: 'soft' }, facts.join(' · '))),
      tensorCanvas(layer, { room, tile: tileFor(layer.shape, room), most: 64 }));
  };
  const more = (layer) => {
    const tilesShown = layer.shape.length === 3 && layer.shape[0] > 64;
    return tilesShown ? el('li', { class: 'soft' }, `the first 64 of ${show(layer.shape[0])} maps of ${layer.name}`) : null;
  };
  return el('ol', { class: 'layers' },
    row(answer.input, 'input, normalised'),
    answer.layers.map((layer) => [row(layer, layer.name), more(layer)]));
}

// Probabilities by class, the right one marked; of many classes the likeliest. With the logits that they come from.
// Of a model that predicts a number: what it says, and what is so if that is known.
export function probabilities(answer, most = 12) {
  if (!answer.probabilities.length) {
    const known = answer.value !== undefined && answer.value !== null;
    return el('dl', { class: 'facts' },
      answer.classes.map((name, at) => [el('dt', {}, name), el('dd', {}, el('strong', {}, show(answer.logits[at], 5)))]),
      known ? [el('dt', {}, 'it is'), el('dd', {}, show(answer.value, 5))] : null);
  }
  const all = answer.probabilities.map((share, at) => ({ at, share: Number(share) }));
  const sorted = all.length > most ? all.toSorted((a, b) => b.share - a.share).slice(0, most) : all;
  const best = all.reduce((a, b) => (b.share > a.share ? b : a), all[0]);
  const mark = ({ at }) => {
    if (answer.class === undefined || answer.class === null) return at === best.at ? 'best' : '';
    if (at === answer.class) return 'good';
    return at === best.at ? 'bad' : '';
  };
  const row = (one) => ({ label: answer.classes[one.at], share: one.share, mark: mark(one), more: Number(answer.logits[one.at]).toFixed(2) });
  return bars(sorted.map(row), { heads: ['class', 'probability', '', 'logit'] });
}
