// A line chart: several curves over each other, each a line and the band between its least and greatest values.

import { el, fill, show, svg, tip } from './draw.js';

const PAD = { top: 10, right: 14, bottom: 26, left: 54 };

function niceTicks(least, most, wanted) {
  const raw = (most - least) / Math.max(1, wanted);
  if (!(raw > 0)) return [least];
  const power = 10 ** Math.floor(Math.log10(raw));
  const unit = [1, 2, 5, 10].find((one) => one * power >= raw) * power;
  const ticks = [];
  for (let at = Math.ceil(least / unit - 1e-9) * unit; at <= most + unit * 1e-9; at += unit) ticks.push(Math.abs(at) < unit * 1e-9 ? 0 : at);
  return ticks;
}

function logTicks(least, most, wanted) {
  const ticks = [];
  const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const parts = high - low <= 2 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((high - low) / Math.max(1, wanted)));
  for (let power = low; power <= high; power += every) {
    for (const part of parts) {
      const at = part * 10 ** power;
      if (at >= least * 0.999 && at <= most * 1.001) ticks.push(at);
    }
  }
  return ticks.length ? ticks : [least, most];
}

// Where a number lies between 0 and 1.
function axis(least, most, log) {
  if (log) {
    const [low, high] = [Math.log10(least), Math.log10(most)];
    const span = high - low || 1;
    return { at: (value) => (value > 0 ? (Math.log10(value) - low) / span : NaN), back: (share) => 10 ** (low + share * span) };
  }
  const span = most - least || 1;
  return { at: (value) => (value - least) / span, back: (share) => least + share * span };
}

// Draws `curves` ([{ label, colour, steps, min, max, smooth, marks: [{ step, text }] }]) into `root`. `zoomed(from, to)` hears
// which steps were chosen by dragging; without arguments: all of them.
export function chart(root, curves, { height = 320, logX = false, logY = false, yTitle = '', zoomed } = {}) {
  const width = Math.max(260, root.clientWidth || 640);
  const [inner, high] = [width - PAD.left - PAD.right, height - PAD.top - PAD.bottom];
  const usable = curves.filter((curve) => curve.steps.length);
  if (!usable.length) {
    fill(root, el('p', { class: 'empty', style: { height: `${height}px` } }, 'No figures yet.'));
    return;
  }
  const fits = (value) => Number.isFinite(value) && (!logY || value > 0);
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const curve of usable) {
    x0 = Math.min(x0, curve.steps[0]);
    x1 = Math.max(x1, curve.steps.at(-1));
    const bare = curve.smoothed ? [curve.smooth] : [curve.min, curve.max];
    for (const values of bare) for (const text of values) {
      const value = Number(text);
      if (!fits(value)) continue;
      y0 = Math.min(y0, value);
      y1 = Math.max(y1, value);
    }
  }
  if (!Number.isFinite(y0)) [y0, y1] = logY ? [0.1, 1] : [0, 1];
  if (y0 === y1) [y0, y1] = logY ? [y0 / 2, y1 * 2] : [y0 - (Math.abs(y0) || 1) * 0.1, y1 + (Math.abs(y1) || 1) * 0.1];
  if (!logY) {
    const spare = (y1 - y0) * 0.04;
    // What is never below 0 is not drawn as if it could be.
    [y0, y1] = [y0 >= 0 ? Math.max(0, y0 - spare) : y0 - spare, y1 + spare];
  }
  if (logX) x0 = Math.max(1, x0);
  const [xs, ys] = [axis(x0, Math.max(x1, x0 + 1), logX), axis(y0, y1, logY)];
  const px = (step) => PAD.left + xs.at(step) * inner;
  const py = (value) => PAD.top + (1 - Math.min(1.05, Math.max(-0.05, ys.at(value)))) * high;
  const xTicks = logX ? logTicks(x0, x1, inner / 80) : niceTicks(x0, x1, inner / 64);
  const yTicks = logY ? logTicks(y0, y1, high / 40) : niceTicks(y0, y1, high / 44);
  const clip = `clip-${Math.random().toString(36).slice(2)}`;

  const line = (curve, values) => {
    let path = '';
    let open = false;
    curve.steps.forEach((step, at) => {
      const value = Number(values[at]);
      if (!fits(value)) {
        open = false;
        return;
      }
      path += `${open ? 'L' : 'M'}${px(step).toFixed(1)} ${py(value).toFixed(1)}`;
      open = true;
    });
    return path;
  };
  const band = (curve) => {
    const up = [];
    const down = [];
    curve.steps.forEach((step, at) => {
      const [least, most] = [Number(curve.min[at]), Number(curve.max[at])];
      if (!fits(most)) return;
      up.push(`${px(step).toFixed(1)} ${py(most).toFixed(1)}`);
      down.unshift(`${px(step).toFixed(1)} ${py(fits(least) ? least : y0).toFixed(1)}`);
    });
    return up.length > 1 ? `M${[...up, ...down].join('L')}Z` : '';
  };

  const hair = svg('line', { class: 'hair', y1: PAD.top, y2: PAD.top + high, x1: -9, x2: -9 });
  const brush = svg('rect', { class: 'brush', y: PAD.top, height: high, width: 0 });
  const picture = svg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${yTitle} by step, ${usable.map((curve) => curve.label).join(', ')}` },
    svg('defs', {}, svg('clipPath', { id: clip }, svg('rect', { x: PAD.left - 3, y: PAD.top - 3, width: inner + 6, height: high + 6 }))),
    svg('g', { class: 'grid' },
      yTicks.map((tick) => [
        svg('line', { x1: PAD.left, x2: PAD.left + inner, y1: py(tick), y2: py(tick) }),
        svg('text', { x: PAD.left - 8, y: py(tick) + 4, 'text-anchor': 'end' }, show(tick, 3)),
      ]),
      xTicks.filter((tick) => px(tick) < PAD.left + inner - 44).map((tick) => svg('text', { x: px(tick), y: height - 8, 'text-anchor': 'middle' }, show(tick, 4)))),
    svg('g', { 'clip-path': `url(#${clip})` },
      usable.map((curve) => svg('path', { d: band(curve), class: 'band', style: { '--hue': curve.colour } })),
      usable.map((curve) => svg('path', { d: line(curve, curve.smooth), class: 'line', style: { '--hue': curve.colour } })),
      usable.filter((curve) => curve.steps.length <= 40).flatMap((curve) => curve.steps.map((step, at) => {
        const value = Number(curve.smooth[at]);
        return fits(value) ? svg('circle', { cx: px(step), cy: py(value), r: 2.4, class: 'dot', style: { '--hue': curve.colour } }) : null;
      })),
      usable.flatMap((curve) => (curve.marks ?? []).filter((mark) => mark.step >= x0 && mark.step <= x1).map((mark) =>
        svg('g', { class: 'event', style: { '--hue': curve.colour } },
          svg('line', { x1: px(mark.step), x2: px(mark.step), y1: PAD.top, y2: PAD.top + high }),
          svg('title', {}, mark.text))))),
    svg('text', { x: PAD.left + inner, y: height - 8, 'text-anchor': 'end', class: 'unit' }, 'step'),
    brush, hair);
  fill(root, picture);

  let from = null;
  const stepAt = (event) => {
    const box = picture.getBoundingClientRect();
    const share = ((event.clientX - box.left) * (width / box.width) - PAD.left) / inner;
    return { share: Math.min(1, Math.max(0, share)), step: xs.back(Math.min(1, Math.max(0, share))) };
  };
  picture.addEventListener('pointermove', (event) => {
    const { share, step } = stepAt(event);
    const x = PAD.left + share * inner;
    hair.setAttribute('x1', x);
    hair.setAttribute('x2', x);
    if (from) {
      const [a, b] = [Math.min(from.share, share), Math.max(from.share, share)];
      brush.setAttribute('x', PAD.left + a * inner);
      brush.setAttribute('width', (b - a) * inner);
    }
    const rows = usable.map((curve) => {
      let at = curve.steps.findIndex((one) => one >= step);
      if (at < 0) at = curve.steps.length - 1;
      return el('div', {}, el('i', { style: { background: curve.colour } }), `${curve.label}  step ${show(curve.steps[at])}  ${show(curve.smooth[at], 5)}`);
    });
    tip(rows, event);
  });
  picture.addEventListener('pointerleave', () => {
    hair.setAttribute('x1', -9);
    hair.setAttribute('x2', -9);
    tip(null);
  });
  picture.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'mouse' && zoomed) from = stepAt(event);
  });
  picture.addEventListener('pointerup', (event) => {
    if (!from) return;
    const to = stepAt(event);
    const begun = from;
    from = null;
    brush.setAttribute('width', 0);
    if (Math.abs(to.share - begun.share) > 0.01) {
      const [a, b] = [begun.step, to.step].sort((one, two) => one - two);
      zoomed(Math.floor(a), Math.ceil(b));
    }
  });
  picture.addEventListener('dblclick', () => zoomed?.());
}
