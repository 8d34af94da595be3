// What most views need before they can draw: the facts of the run that is looked at, and of its data.

import { el, failure, fill } from './draw.js';

// How often a run that is being trained is asked how far it is.
const FOLLOW_MS = 5000;

// What is said where a model without its run has nothing to show.
export const ALONE = 'This is a model without its run: its steps, its rows and its log are not here. Open the run to see this.';

// Mounts `view(root, state, api, facts, data)` for the run of the address, and again when another one is chosen. A view that
// needs `rows` says so where there are none.
export function forRun(view, { rows = false } = {}) {
  return (root, state, api) => {
    let mounted = null; // { run, handle }
    const control = new AbortController();
    const begin = async (run) => {
      mounted = { run, handle: null };
      if (!run) {
        fill(root, el('div', { class: 'empty' }, el('p', {}, 'There is no run to look at.'), el('p', {}, 'Make one: ', el('code', {}, 'glassbox train digits'))));
        return;
      }
      if (!root.childNodes.length) fill(root, el('p', { class: 'waiting' }, 'Opening the run …'));
      try {
        const { signal } = control;
        const facts = await api.get('/api/run', { run }, { signal });
        const data = await api.get('/api/data', { run }, { signal });
        if (mounted.run !== run || control.signal.aborted) return;
        mounted.facts = facts;
        if (rows && facts.alone) {
          fill(root, el('div', { class: 'empty' }, el('p', {}, ALONE)));
          return;
        }
        fill(root);
        mounted.handle = view(root, state, api, facts, data) ?? null;
      } catch (error) {
        if (error.name !== 'AbortError') fill(root, failure(error));
      }
    };
    begin(state.run);
    const following = setInterval(async () => {
      const { run, facts, handle } = mounted;
      if (document.hidden || !facts?.live) return;
      const now = await api.get('/api/run', { run }, { signal: control.signal }).catch(() => null);
      if (!now || mounted.handle !== handle) return;
      for (const name of ['live', 'step', 'steps', 'checkpoints']) facts[name] = now[name];
      handle?.update?.();
    }, FOLLOW_MS);
    return {
      update() {
        if (mounted.run === state.run) {
          mounted.handle?.update?.();
          return;
        }
        mounted.handle?.unmount?.();
        fill(root);
        begin(state.run);
      },
      unmount() {
        clearInterval(following);
        control.abort();
        mounted?.handle?.unmount?.();
      },
    };
  };
}

// The part of the data and the row that are looked at.
export function partOf(state, data) {
  const names = data.parts.map((part) => part.name);
  const usual = names.includes('val') ? 'val' : 'test';
  const name = names.includes(state.get('part')) ? state.get('part') : usual;
  return data.parts.find((part) => part.name === name);
}

export function rowOf(state, data) {
  const part = partOf(state, data);
  return Math.max(0, Math.min(part.rows - 1, Math.round(state.number('row', 0))));
}

const PART_TITLES = { train: 'training rows', val: 'validation rows', test: 'test rows' };

// Choosing a row: the part, the number, one back and forth, those of a class.
export function rowPicker(state, data) {
  const part = el('select', { 'aria-label': 'Part of the data', onchange: () => state.set({ part: part.value, row: 0 }) },
    data.parts.map((one) => el('option', { value: one.name }, PART_TITLES[one.name])));
  const row = el('input', { type: 'number', min: 0, 'aria-label': 'Row', class: 'step-number', onchange: () => state.set({ row: row.value }) });
  const count = el('span', { class: 'soft' });
  const move = (by) => {
    const rows = partOf(state, data).rows;
    state.set({ row: (rowOf(state, data) + by + rows) % rows });
  };
  const element = el('div', { class: 'picker' }, part, el('label', {}, 'row ', row), count,
    el('button', { type: 'button', class: 'quiet', 'aria-label': 'Row before', title: 'Row before', onclick: () => move(-1) }, '‹'),
    el('button', { type: 'button', class: 'quiet', 'aria-label': 'Next row', title: 'Next row', onclick: () => move(1) }, '›'),
    el('button', { type: 'button', class: 'quiet', title: 'Any row', onclick: () => state.set({ row: Math.floor(Math.random() * partOf(state, data).rows) }) }, 'any'));
  const update = () => {
    const current = partOf(state, data);
    part.value = current.name;
    row.max = current.rows - 1;
    if (document.activeElement !== row) row.value = rowOf(state, data);
    count.textContent = `of ${current.rows.toLocaleString('en')}`;
  };
  update();
  return { element, update };
}
