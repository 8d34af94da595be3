// A confusion matrix as a table: a row for each class, a column for what it was taken for.

import { colour, el, percent, show } from './draw.js';

// `picked` is [label, taken]; `choose(label, taken)` hears a cell that was chosen.
export function matrix(answer, { picked, choose, small = false } = {}) {
  const { classes, counts } = answer;
  const most = Math.max(1, ...counts.flatMap((row, label) => row.filter((_, taken) => taken !== label)));
  const whole = counts.map((row) => row.reduce((sum, count) => sum + count, 0));
  const [plus, good] = [colour('plus'), colour('right')];
  const cell = (label, taken) => {
    const count = counts[label][taken];
    const right = label === taken;
    const share = right ? count / Math.max(1, whole[label]) : count / most;
    const chosen = picked && picked[0] === label && picked[1] === taken;
    const says = `${show(count)} of ${show(whole[label])} ${classes[label]} taken for ${classes[taken]}`;
    const face = el('button', {
      type: 'button', title: says, 'aria-label': says, 'aria-pressed': chosen ? 'true' : undefined, disabled: !choose || count === 0,
      style: { '--hue': right ? good : plus, '--share': count ? 0.08 + 0.72 * share : 0 }, onclick: () => choose(label, taken),
    }, count || (small ? '' : '·'));
    return el('td', { class: count ? '' : 'none' }, face);
  };
  return el('div', { class: `matrix-box${small ? ' small' : ''}` }, el('table', { class: 'matrix' },
    el('caption', { class: 'sr' }, 'Rows: the class; columns: what it was taken for'),
    el('thead', {},
      el('tr', {}, el('td', {}), el('th', { colspan: classes.length, class: 'axis' }, 'taken for'), small ? null : el('td', {})),
      el('tr', {}, el('td', {}), classes.map((name) => el('th', { scope: 'col', title: name }, el('span', {}, name))), small ? null : el('th', { class: 'recall' }, 'found'))),
    el('tbody', {}, classes.map((name, label) => el('tr', {},
      el('th', { scope: 'row', title: name }, name),
      classes.map((_, taken) => cell(label, taken)),
      small ? null : el('td', { class: 'recall' }, whole[label] ? percent(counts[label][label] / whole[label], 0) : '–'))))));
}
