// Graph: a training step at three zooms, layers, ops, kernels of the plan; every box leads to its values, its rule of
// gradient and the line that made it, and every line to its boxes.

import { el, fill } from '../draw.js';
import { graphCanvas } from '../graph/canvas.js';
import { panel } from '../graph/panel.js';

const ZOOMS = [['layers', 'Layers'], ['ops', 'Ops'], ['kernels', 'Kernels']];
const PHASES = ['forward', 'backward', 'update'];
const HEATS = [['', 'part of the step'], ['time', 'time'], ['flops', 'FLOPs'], ['bytes', 'bytes']];

const count = (number) => Math.round(number).toLocaleString('en');

export default {
  name: 'graph',
  title: 'Graph',
  mount(root, state, api) {
    let drawing = null; // the answer that is drawn
    let drawn = ''; // and what it answers
    let times = null; // microseconds of each kernel
    let asked = 0;
    let keep; // the box that stays where it is
    let closed = false;

    const zooms = el('div', { class: 'segments', role: 'group', 'aria-label': 'Zoom' }, ZOOMS.map(([word, title]) =>
      el('button', { 'data-zoom': word, onclick: () => state.set({ zoom: word, toggled: '', box: '', line: '' }) }, title)));
    const phases = el('div', { class: 'segments', role: 'group', 'aria-label': 'Parts of the step' }, PHASES.map((word) =>
      el('button', { 'data-phase': word, class: `phase-${word}`, onclick: () => turn(word) }, word)));
    const step = el('input', { type: 'number', min: 1, 'aria-label': 'Step', onchange: () => state.set({ step: step.value }) });
    const heat = el('select', { 'aria-label': 'Colour by', onchange: () => state.set({ colour: heat.value }) },
      HEATS.map(([word, title]) => el('option', { value: word }, title)));
    const measure = el('button', { onclick: () => time(true) }, 'Measure times');
    const find = el('input', { type: 'search', placeholder: 'find: conv1, relu, loss …', 'aria-label': 'Find', oninput: search, onkeydown: walkHits });
    const said = el('span', { class: 'soft graph-said', role: 'status' });
    const fit = el('button', { title: 'Show all (0)', onclick: () => canvas.showAll() }, 'All');
    const nearer = el('button', { title: 'Nearer (+)', 'aria-label': 'Nearer', onclick: () => canvas.zoom(1.3) }, '+');
    const farther = el('button', { title: 'Farther (−)', 'aria-label': 'Farther', onclick: () => canvas.zoom(1 / 1.3) }, '−');
    const numbers = el('label', { class: 'tick' }, el('input', { type: 'checkbox', onchange: (event) => state.set({ numbers: event.target.checked ? '1' : '' }) }), 'numbers');

    const stage = el('div', { class: 'graph-stage' });
    const side = el('aside', { class: 'graph-side', 'aria-label': 'What is behind the box' });
    root.append(
      el('div', { class: 'graph-tools' }, zooms, phases, numbers, el('label', {}, 'step ', step), el('label', {}, 'colour ', heat), measure, find),
      el('div', { class: 'graph-main' }, stage, side),
      said,
    );
    const canvas = graphCanvas(stage, {
      pick: (box) => state.set({ box: box?.id ?? '' }),
      open: (box) => open(box),
    });
    stage.append(el('div', { class: 'segments graph-zoom' }, farther, nearer, fit));
    const about = panel(side, {
      ask: (path, values) => api.get(path, { run: state.run, step: state.get('step') || drawing?.step, ...values }),
      choose: (id) => goTo(id),
      light: (file, line) => state.set({ line: line ? `${file}:${line}` : '' }),
      open: (layer) => toggle(layer),
      isOpen: (layer) => isOpen(layer),
      times: () => times,
      measure: () => time(true),
    });

    const look = () => ({
      run: state.run, step: state.get('step'), zoom: state.get('zoom', 'layers'), phases: state.get('phases', 'forward,backward'),
      toggled: state.get('toggled'), numbers: state.get('numbers'),
    });
    const shownPhases = () => look().phases.split(',').filter((word) => PHASES.includes(word));

    function turn(word) {
      const now = shownPhases();
      const next = now.includes(word) ? now.filter((other) => other !== word) : [...now, word];
      if (next.length) state.set({ phases: PHASES.filter((other) => next.includes(other)).join(',') });
    }

    const toggled = () => state.get('toggled').split(',').filter(Boolean);
    const isOpen = (layer) => (look().zoom === 'ops') !== toggled().includes(layer);

    // The opened layers around a box: among layers all of them, among ops the innermost.
    function framesOf(box) {
      const { zoom } = look();
      if (zoom === 'kernels' || box.k === 'group' && zoom === 'ops') return [];
      if (zoom === 'ops') return [box.l];
      return box.l.split('/').map((_, at, all) => all.slice(0, at + 1).join('/')).filter(isOpen);
    }

    // Opens or closes a layer.
    function toggle(layer) {
      const now = toggled();
      const below = (other) => other === layer || other.startsWith(`${layer}/`);
      const next = now.includes(layer) ? now.filter((other) => !below(other)) : [...now, layer];
      keep = canvas.boxes.find((box) => box.id === state.get('box'))?.id;
      state.set({ toggled: next.join(','), box: '' });
    }

    function open(box) {
      if (look().zoom === 'kernels') return;
      keep = box.id;
      // An op closes into its layer, a layer opens into its ops.
      const chain = box.l.split('/').map((_, at, all) => all.slice(0, at + 1).join('/'));
      const target = box.k === 'group' ? box.l : look().zoom === 'ops' ? chain[0] : chain.findLast((layer) => isOpen(layer));
      if (target) toggle(target);
    }

    async function load() {
      const wanted = look();
      const key = JSON.stringify(wanted);
      if (key === drawn || !wanted.run) return;
      drawn = key;
      asked += 1;
      const mine = asked;
      fill(said, 'laying out …');
      try {
        const from = performance.now();
        const answer = await api.get('/api/graph', wanted);
        if (mine !== asked || closed) return;
        drawing = answer;
        canvas.set(answer, { keep, framesOf });
        keep = undefined;
        stage.dataset.usable = Math.round(performance.now() - from);
        about.files(answer.files);
        measure.hidden = answer.alone;
        fill(said, answer.alone ? 'How it answers an input: a model without its run has no training step. ' : '', `${count(answer.nodes)} nodes in ${count(answer.kernels)} kernels, ${count(answer.boxes.length)} boxes shown; ${(answer.flops / 1e6).toFixed(1)} MFLOP, ${(answer.bytes / 1048576).toFixed(1)} MiB moved, arena ${(answer.arena / 1048576).toFixed(2)} MiB`);
        choose();
        lightLine();
        warm();
      } catch (error) {
        if (mine !== asked || closed) return;
        drawn = '';
        fill(said, error.message);
        said.classList.add('error');
      }
    }

    function choose() {
      const id = state.get('box');
      const box = canvas.choose(id);
      about.show(id, box);
    }

    // A node or kernel that may not be drawn itself.
    function goTo(id) {
      const kernel = id.startsWith('k');
      if (kernel !== (look().zoom === 'kernels')) {
        state.set({ zoom: kernel ? 'kernels' : 'ops', toggled: '', box: id });
        return;
      }
      state.set({ box: id });
      if (!canvas.choose(id, { see: true })) {
        const holder = canvas.holder(Number(id.slice(1)));
        if (holder) canvas.light([Number(id.slice(1))], { see: true });
      }
    }

    function lightLine() {
      const line = state.get('line');
      if (!line || !drawing) {
        canvas.light(null);
        about.lit('', 0);
        return;
      }
      const cut = line.lastIndexOf(':');
      about.nodesAt(line.slice(0, cut), Number(line.slice(cut + 1))).then((nodes) => {
        if (closed || state.get('line') !== line) return;
        about.lit(line, canvas.light(nodes, { see: true }));
      }, () => {});
    }

    function warm() {
      const colour = state.get('colour');
      if (!drawing || !colour) {
        canvas.warm(null);
        return;
      }
      if (colour === 'time' && !times) {
        time(false);
        return;
      }
      const of = { time: (kernel) => times[kernel] ?? 0, flops: (kernel) => drawing.costs[kernel][0], bytes: (kernel) => drawing.costs[kernel][1] }[colour];
      canvas.warm(canvas.boxes.map((box) => box.m.reduce((sum, kernel) => sum + of(kernel), 0)));
    }

    async function time(again) {
      measure.disabled = true;
      measure.textContent = 'measuring …';
      try {
        const answer = await api.get('/api/graph/times', { run: state.run, step: state.get('step'), times: 5, again: again ? Date.now() : '' });
        if (closed) return;
        times = answer.kernels;
        measure.textContent = `${(answer.all / 1000).toFixed(2)} ms in kernels`;
        measure.title = `Medians of ${answer.times} runs of the step on the studio’s own thread, here and now. Click to measure again.`;
        about.timed();
        if (again && !state.get('colour')) state.set({ colour: 'time' });
        else warm();
      } catch (error) {
        measure.textContent = 'Measure times';
        fill(said, error.message);
      } finally {
        measure.disabled = false;
      }
    }

    let hits = [];
    let hit = -1;
    function search() {
      const text = find.value.trim().toLowerCase();
      hit = -1;
      hits = text ? canvas.boxes.filter((box) => `${box.id} ${box.l} ${box.t} ${box.s}`.toLowerCase().includes(text)) : [];
      canvas.light(text ? hits.flatMap((box) => box.n) : null, { see: true });
      find.setAttribute('aria-description', `${hits.length} boxes`);
      if (text) fill(said, `${hits.length} boxes; Enter goes from one to the next`);
    }
    function walkHits(event) {
      if (event.key === 'Enter' && hits.length) {
        hit = (hit + (event.shiftKey ? hits.length - 1 : 1)) % hits.length;
        goTo(hits[hit].id);
      } else if (event.key === 'Escape') {
        find.value = '';
        search();
      }
    }

    const slash = (event) => {
      if (event.key !== '/' || event.target.closest?.('input, select, textarea')) return;
      event.preventDefault();
      find.focus();
    };
    const stepped = (event) => {
      const now = state.number('step', drawing?.step ?? 1);
      state.set({ step: Math.max(1, now + event.detail) });
    };
    addEventListener('keydown', slash);
    addEventListener('stepped', stepped);

    let runShown = '';
    let boxShown = null;
    let lineShown = '';
    let colourShown = '';
    function update() {
      if (runShown !== state.run) {
        runShown = state.run;
        times = null;
        measure.textContent = 'Measure times';
      }
      if (!state.run) fill(side, el('p', { class: 'empty' }, 'There is no run here yet: train one, and it can be opened.'));
      const now = look();
      zooms.querySelectorAll('button').forEach((one) => one.setAttribute('aria-pressed', one.dataset.zoom === now.zoom));
      phases.querySelectorAll('button').forEach((one) => one.setAttribute('aria-pressed', shownPhases().includes(one.dataset.phase)));
      numbers.querySelector('input').checked = now.numbers === '1';
      numbers.hidden = now.zoom !== 'ops';
      heat.value = state.get('colour');
      step.value = state.get('step');
      step.placeholder = drawing?.step ?? 'newest';
      const fresh = JSON.stringify(now) !== drawn;
      load();
      if (!fresh) {
        const box = `${state.get('box')} ${state.get('step')}`;
        if (box !== boxShown) choose();
        if (state.get('line') !== lineShown) lightLine();
        if (state.get('colour') !== colourShown) warm();
      }
      boxShown = `${state.get('box')} ${state.get('step')}`;
      lineShown = state.get('line');
      colourShown = state.get('colour');
    }
    update();
    // For whoever looks without eyes or measures.
    stage.graph = canvas;
    return {
      update,
      unmount() {
        closed = true;
        canvas.close();
        removeEventListener('keydown', slash);
        removeEventListener('stepped', stepped);
      },
    };
  },
};
