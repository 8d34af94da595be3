// Confusion: what each class was taken for at any step, and the pictures behind each cell.

import { el, empty, panel, percent, show, stepOf, stepSlider, thumb } from '../draw.js';
import { matrix } from '../matrix.js';
import { forRun, partOf } from '../needs.js';

export default {
  name: 'confusion',
  title: 'Confusion',
  mount: forRun((root, state, api, facts, data) => {
    const { run } = state;
    const slider = stepSlider(state, facts);
    const part = el('select', { 'aria-label': 'Part of the data', onchange: () => state.set({ part: part.value }) },
      data.parts.map((one) => el('option', { value: one.name }, `${one.name} rows (${show(one.rows)})`)));
    const table = panel('Confusion', { least: '420px' });
    const cell = panel('Rows of a cell', { least: '420px' });
    root.append(
      el('h1', { class: 'sr' }, `Confusion of ${run}`),
      el('div', { class: 'bar' }, slider.element, el('div', { class: 'picker' }, part)),
      el('div', { class: 'grid' }, table.element, cell.element));
    const picked = () => {
      const [label, taken] = state.get('cell').split(',').map(Number);
      const fits = (one) => Number.isInteger(one) && one >= 0 && one < data.classes.length;
      return fits(label) && fits(taken) ? [label, taken] : null;
    };
    let shown = '';
    const update = () => {
      slider.update();
      const step = stepOf(state, facts);
      const current = partOf(state, data);
      part.value = current.name;
      const values = { run, step, part: current.name };
      const key = JSON.stringify([values, state.get('cell')]);
      if (key === shown) return;
      shown = key;
      let first = null;
      table.load((signal) => api.get('/api/confusion', values, { signal }), (answer) => {
        const some = answer.asked < answer.rows ? `the first ${show(answer.asked)} of ${show(answer.rows)}` : `all ${show(answer.rows)}`;
        // Nothing chosen yet: the commonest mistake.
        if (!picked()) {
          let most = 0;
          answer.counts.forEach((row, label) => row.forEach((count, taken) => {
            if (label !== taken && count > most) [most, first] = [count, [label, taken]];
          }));
          if (first) open(first, false);
          else cell.clear('No row is taken for another class. Choose a cell to see its rows.');
        }
        return [
          el('p', { class: 'note' }, `${percent(answer.accuracy, 2)} right, loss ${show(answer.loss, 4)}, on ${some} ${answer.part} rows. Green: right; red: mistakes, against the commonest. Choose a cell to see its rows.`),
          matrix(answer, { picked: picked() ?? first, choose: (label, taken) => state.set({ cell: `${label},${taken}` }) }),
        ];
      });
      const open = ([label, taken], chosen) => cell.load((signal) => api.get('/api/cell', { ...values, label, taken }, { signal }), (answer) => {
        const [is, said] = [data.classes[label], data.classes[taken]];
        const words = label === taken ? `${is}, found` : `${is}, taken for ${said}`;
        const head = el('p', {}, el('strong', {}, words), el('span', { class: 'soft' }, ` · ${show(answer.count)} rows${answer.count > answer.rows.length ? `, the ${answer.rows.length} surest` : ', the surest first'}${chosen ? '' : ' · the commonest mistake'}`));
        if (!answer.count) return [head, empty('No row at this step.')];
        return [head, el('div', { class: 'thumbs' }, answer.rows.map((one) => thumb(one.picture, {
          label: percent(one.probability, 0), title: `${one.id}: ${said} ${percent(one.probability, 2)}${label === taken ? '' : `, ${is} ${percent(one.right, 2)}`}`,
          href: state.link('sample', { step, part: current.name, row: one.row }), said: one.words, mark: label === taken ? '' : 'wrong',
        })))];
      });
      if (picked()) open(picked(), true);
    };
    update();
    return {
      update,
      unmount() {
        slider.stop();
        table.stop();
        cell.stop();
      },
    };
  }, { rows: true }),
};
