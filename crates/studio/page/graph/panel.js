// What is behind a box: shape, formula, rule of gradient, values of the step, cost, and the source that made it.

import { el, fill, proof } from '../draw.js';

const AROUND = 6;

const whole = (number) => Number(number).toLocaleString('en');
function short(number) {
  if (typeof number !== 'number') return String(number);
  if (number === 0) return '0';
  const size = Math.abs(number);
  return size >= 1e5 || size < 1e-3 ? number.toExponential(3) : String(Number(number.toPrecision(5)));
}
const bytes = (number) => (number < 10240 ? `${whole(number)} B` : number < 1048576 ? `${(number / 1024).toFixed(1)} KiB` : `${(number / 1048576).toFixed(1)} MiB`);
const dims = (shape) => `[${shape.join(', ')}]`;
const micro = (time) => (time < 1000 ? `${time.toFixed(1)} µs` : `${(time / 1000).toFixed(2)} ms`);

// `on`: ask(path, values), choose(id), light(file, line), open(layer), isOpen(layer), times(), measure().
export function panel(root, on) {
  let asked = 0;
  let facts = null;
  let files = [];
  let file = '';
  const sources = new Map(); // file -> promise
  const body = el('div', { class: 'graph-about' });
  const source = el('section', { class: 'graph-source', 'aria-label': 'Source' });
  root.append(body, source);

  const fact = (name, value) => [el('dt', {}, name), el('dd', {}, value)];
  const link = (id, text, title) => el('button', { class: 'link', title, onclick: () => on.choose(id) }, text);

  function read(name) {
    if (!sources.has(name)) {
      const answer = on.ask('/api/graph/source', { file: name });
      sources.set(name, answer);
      answer.catch(() => sources.delete(name));
    }
    return sources.get(name);
  }

  // Lines of the file about `line`; all of them if it is null.
  async function showSource(name, line) {
    file = name;
    const mine = name;
    let answer;
    try {
      answer = await read(name);
    } catch (error) {
      fill(source, el('p', { class: 'error' }, error.message));
      return;
    }
    if (file !== mine) return;
    const nodes = new Map(answer.nodes);
    const picker = el('select', { 'aria-label': 'File', onchange: () => showSource(picker.value, null) },
      files.map(([one, made]) => el('option', { value: one, selected: one === name }, `${one} (${made} nodes)`)));
    const head = el('div', { class: 'graph-file' }, el('h3', {}, 'Source'), picker);
    if (!answer.lines) {
      const lines = [...nodes.keys()].map((one) => el('li', {}, lineButton(name, one, nodes.get(one).length, `line ${one}`)));
      fill(source, [head, el('p', { class: 'soft' }, answer.note), el('ul', { class: 'plain' }, lines)]);
      return;
    }
    const first = line === null ? 1 : Math.max(1, line - AROUND);
    const last = line === null ? answer.lines.length : Math.min(answer.lines.length, line + AROUND);
    const rows = [];
    for (let at = first; at <= last; at += 1) {
      const made = nodes.get(at)?.length ?? 0;
      rows.push(el('div', { class: `graph-line${at === line ? ' own' : ''}${made ? ' made' : ''}`, 'data-line': at },
        made ? lineButton(name, at, made, String(at)) : el('span', { class: 'number' }, at),
        el('code', {}, answer.lines[at - 1] || ' ')));
    }
    fill(source, [
      head,
      el('div', { class: 'graph-lines', tabindex: 0 }, rows),
      el('p', { class: 'soft' }, `${answer.note}. Lines with a mark made nodes: click one, and its boxes light up.`,
        line !== null && answer.lines.length > last - first + 1 ? el('button', { class: 'link', onclick: () => showSource(name, null) }, ' the whole file') : null),
    ]);
    mark();
    if (line === null) source.querySelector('.lit')?.scrollIntoView({ block: 'nearest' });
  }

  const lineButton = (name, line, made, text) => el('button', {
    class: 'number', title: `${made} ${made === 1 ? 'node' : 'nodes'}`, 'data-at': `${name}:${line}`,
    onclick: (event) => on.light(name, event.currentTarget.closest('.lit') ? 0 : line),
  }, text);

  let marked = '';
  function mark() {
    source.querySelectorAll('[data-at]').forEach((one) => {
      (one.closest('.graph-line') ?? one.parentElement).classList.toggle('lit', one.dataset.at === marked);
    });
  }

  function values(title, value) {
    if (!value) return null;
    if (value.error) return el('section', {}, el('h3', {}, title), el('p', { class: 'soft' }, value.error));
    const most = Math.max(...value.histogram, 1);
    const zeros = value.count ? (100 * value.zeros) / value.count : 0;
    return el('section', { class: 'graph-values' },
      el('h3', {}, title),
      value.picture ? el('a', { href: value.picture, target: '_blank', rel: 'noopener', title: 'The picture alone' }, el('img', { src: value.picture, alt: `${title} as a picture` })) : null,
      el('div', { class: 'graph-bars', title: `${value.histogram.length} equal parts from ${short(value.min)} to ${short(value.max)}` },
        value.histogram.map((bar) => el('i', { style: { height: `${bar ? Math.max(4, (100 * bar) / most) : 0}%` } }))),
      el('dl', { class: 'facts' },
        fact('range', `${short(value.min)} … ${short(value.max)}`),
        fact('mean ± std', `${short(value.mean)} ± ${short(value.std)}`),
        fact('length', short(value.norm)),
        fact('zeros', `${whole(value.zeros)} of ${whole(value.count)} (${zeros.toFixed(1)} %)`),
        value.nan || value.infinite ? fact('no numbers', el('strong', { class: 'bad' }, `${value.nan} NaN, ${value.infinite} infinite`)) : null,
        fact(value.count > value.first.length ? 'first' : 'numbers', el('code', {}, value.first.map(short).join(' ')))),
    );
  }

  const timeOf = (kernels) => {
    const times = on.times();
    if (!kernels.length) return null;
    if (!times) return fact('time', el('button', { class: 'link', onclick: () => on.measure() }, 'measure'));
    return fact('time', micro(kernels.reduce((sum, kernel) => sum + (times[kernel.number] ?? 0), 0)));
  };

  const list = (title, nodes) => (nodes?.length ? el('details', { open: nodes.length <= 8 },
    el('summary', {}, `${title} (${nodes.length})`),
    el('ul', { class: 'plain' }, nodes.map((node) => el('li', {},
      link(node.id, node.title, node.at), el('span', { class: 'soft' }, ` ${dims(node.shape)} `),
      el('span', { class: `chip phase-${node.phase}` }, node.layer))))) : null);

  const kernelList = (kernels, times, title = 'kernels') => (kernels?.length ? el('details', { open: kernels.length <= 4 },
    el('summary', {}, `${title} (${kernels.length})`),
    el('ul', { class: 'plain' }, kernels.map((kernel) => el('li', {},
      link(kernel.id, `${kernel.number} ${kernel.kind}`, kernel.title),
      el('span', { class: 'soft' }, ` ${dims(kernel.shape)} ${kernel.ops} ops ${times ? micro(times[kernel.number] ?? 0) : ''}`))))) : null);

  function heading(title) {
    const { phase, layer } = facts;
    const open = on.isOpen(layer);
    return el('header', {},
      el('h2', {}, title),
      el('span', { class: `chip phase-${phase}` }, phase),
      facts.box === 'kernel' ? el('span', { class: 'soft' }, ` ${layer}`)
        : el('button', { class: 'link', onclick: () => on.open(layer) }, facts.box === 'group' ? `open ${layer}` : `${open ? 'close' : 'open'} ${layer}`));
  }

  function showNode() {
    const { serves } = facts;
    const times = on.times();
    fill(body, [
      heading(facts.name && facts.name !== facts.title ? `${facts.title}: ${facts.name}` : facts.title),
      el('dl', { class: 'facts' },
        fact('computes', el('code', {}, facts.formula)),
        fact('gradient', el('code', {}, facts.differentiable ? facts.gradient_formula : 'none: asking for it is an error')),
        fact('shape', `${facts.dtype} ${dims(facts.shape)}`),
        facts.flops ? fact('FLOPs', whole(facts.flops)) : null,
        facts.bytes ? fact('bytes', `${bytes(facts.bytes)} in a kernel of its own`) : fact('bytes', 'none: it is seen, not moved'),
        facts.kernels.length ? timeOf(facts.kernels) : null,
        facts.kernels.length && times ? fact('', el('span', { class: 'soft' }, `of its ${facts.kernels.length > 1 ? 'kernels, which hold' : 'kernel, which holds'} ${facts.kernels.reduce((sum, kernel) => sum + kernel.ops, 0)} ops`)) : null,
        serves ? fact('serves', [link(serves.id, serves.title, serves.at), ' ', el('span', { class: 'soft' }, 'whose gradient it is a part of')]) : null,
        fact('exactly', el('code', { class: 'soft' }, facts.settings))),
      values('Value', facts.value),
      values('Gradient of the loss', facts.gradient),
      facts.proof ? el('p', {}, `step ${whole(facts.proof.step)} `, proof(facts.proof)) : null,
      kernelList(facts.kernels, times),
      list('inputs', facts.inputs),
      list('used by', facts.users),
    ]);
  }

  function showGroup() {
    const times = on.times();
    fill(body, [
      heading(facts.title),
      el('dl', { class: 'facts' },
        fact('nodes', whole(facts.count)),
        facts.parts.length > 1 ? fact('made of', facts.parts.join(', ')) : null,
        fact('FLOPs', whole(facts.flops)),
        fact('bytes', bytes(facts.bytes)),
        timeOf(facts.kernels)),
      kernelList(facts.kernels, times),
      list('nodes', facts.nodes),
    ]);
  }

  function showKernel() {
    const operands = (title, all) => el('details', { open: all.length <= 8 },
      el('summary', {}, `${title} (${all.length})`),
      el('ul', { class: 'plain' }, all.map((one) => el('li', {},
        el('code', {}, `s${one.slot} `), one.node ? link(one.node.id, one.node.name ?? one.node.title, one.node.at) : one.place,
        el('span', { class: 'soft' }, ` ${one.dtype} ${dims(one.shape)} ${bytes(one.bytes)}`)))));
    fill(body, [
      heading(`kernel ${facts.number}: ${facts.kind}`),
      el('dl', { class: 'facts' },
        fact('ops', facts.title),
        fact('over', dims(facts.shape)),
        fact('FLOPs', whole(facts.flops)),
        fact('bytes', bytes(facts.bytes)),
        facts.flops && facts.bytes ? fact('intensity', `${(facts.flops / facts.bytes).toFixed(2)} FLOP a byte`) : null,
        timeOf([facts])),
      el('h3', {}, 'Program'),
      el('pre', { class: 'graph-code', tabindex: 0 }, facts.code.join('\n')),
      operands('reads', facts.reads),
      operands('writes', facts.writes),
      list('the ops it holds', facts.nodes),
      kernelList(facts.after, on.times(), 'reads what these wrote'),
    ]);
  }

  function render() {
    if (facts.box === 'node') showNode();
    else if (facts.box === 'group') showGroup();
    else showKernel();
    body.dataset.shown = facts.id;
  }

  return {
    files(next) {
      files = next;
      sources.clear();
      if (!file || !files.some(([one]) => one === file)) {
        // The model's own file first: the one with the lines of layers.
        const model = files.find(([one]) => one.includes('/zoo/')) ?? files[0];
        if (model) showSource(model[0], null);
      }
    },
    async show(id, box) {
      asked += 1;
      const mine = asked;
      if (!id) {
        facts = null;
        delete body.dataset.shown;
        fill(body, el('p', { class: 'soft' }, 'Click a box to see what it computes and what it held. Double-click or Enter opens a layer and closes it again; drag, wheel or pinch to move; arrow keys walk along the arrows.'));
        if (file) showSource(file, null);
        return;
      }
      if (box && !body.dataset.shown) fill(body, [el('h2', {}, box.t), el('p', { class: 'soft' }, 'asking …')]);
      body.classList.add('waits');
      try {
        const answer = await on.ask('/api/graph/box', { id });
        if (mine !== asked) return;
        facts = answer;
        render();
        const at = facts.file ? facts : null;
        if (at) showSource(at.file, at.line);
      } catch (error) {
        if (mine === asked) fill(body, el('p', { class: 'error' }, error.message));
      } finally {
        if (mine === asked) body.classList.remove('waits');
      }
    },
    // The nodes that a line made.
    async nodesAt(name, line) {
      const answer = await read(name);
      return new Map(answer.nodes).get(line) ?? [];
    },
    lit(line) {
      marked = line;
      mark();
    },
    timed() {
      if (facts) render();
    },
  };
}
