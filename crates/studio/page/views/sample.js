// Sample: one input from its pixels to the answer, what lies near it, and its loss over the whole training.

import { numbers } from '../api.js';
import { chart } from '../chart.js';
import { asker, colour, el, empty, layersList, panel, percent, probabilities, roomOf, shape, show, stepOf, stepSlider, tensorCanvas, thumb } from '../draw.js';
import { forRun, partOf, rowOf, rowPicker } from '../needs.js';

const figure = (picture, caption, detail = '') => el('figure', { class: 'seen' },
  picture ? el('img', { src: picture, alt: caption }) : el('span', { class: 'no-picture' }, 'no picture'),
  el('figcaption', {}, caption, detail ? el('span', { class: 'soft' }, detail) : null));

// What can be checked of a map: whether its numbers add up, whether it looks at the weights, whether what it points at matters.
// A figure that is not finite comes as null, which is no 0.
const number = (value) => (value === null ? NaN : Number(value));

function certificates({ completeness, randomisation, deletion }) {
  const line = (good, title, words) => el('li', { class: good ? 'yes' : 'no' }, el('strong', {}, title), el('span', {}, words));
  const fell = number(deletion.score) - number(deletion.without_top);
  const random = number(deletion.score) - number(deletion.without_random);
  const last = randomisation.at(-1);
  const another = last && number(last.rank_correlation) < 0.5;
  return el('ul', { class: 'certificates' },
    completeness ? line(number(completeness.residual) < 0.01, 'It adds up', `to ${show(completeness.sum, 4)}; the score differs from that of black by ${show(completeness.difference, 4)} (residual ${percent(completeness.residual, 2)})`) : null,
    last ? line(another, another ? 'It looks at the weights' : 'It hardly looks at the weights',
      `with those down to ${last.down_to} shuffled the map ${another ? 'is another' : 'stays much the same: it shows the input more than what the network does with it'} (rank correlation ${number(last.rank_correlation).toFixed(2)})`) : null,
    line(fell > random, fell > random ? 'It points at what matters' : 'It points at nothing that matters', `without its top ${percent(deletion.removed, 0)} the score falls by ${show(fell, 3)}; without as much at random by ${show(random, 3)} (worse than ${percent(deletion.beats, 0)} of random removals)`));
}

// What is to be predicted of a row.
function what(answer) {
  if (answer.value !== null) return ['Number ', el('strong', {}, show(answer.value, 5))];
  return answer.label === null ? 'No class' : ['Class ', el('strong', {}, answer.label)];
}

// A text, each token as red or blue as the map says.
function weighed(tokens, map) {
  const values = [...numbers(map)];
  const most = Math.max(1e-30, ...values.map(Math.abs));
  const tint = (value) => `rgba(${value > 0 ? '192, 57, 43' : '15, 111, 181'}, ${(0.75 * Math.abs(value) / most).toFixed(3)})`;
  return el('p', { class: 'text' }, tokens.map((token, at) => el('span', { style: { background: tint(values[at]) }, title: show(values[at], 4) }, token)));
}

export default {
  name: 'sample',
  title: 'Sample',
  mount: forRun((root, state, api, facts, data) => {
    const { run } = state;
    const slider = stepSlider(state, facts);
    const picker = rowPicker(state, data);
    const chooseMethod = el('select', { 'aria-label': 'Method', onchange: () => state.set({ method: chooseMethod.value }) });
    const chooseClass = el('select', { 'aria-label': 'Class', onchange: () => state.set({ of: chooseClass.value }) },
      el('option', { value: '' }, 'the answer'), data.classes.map((name, at) => el('option', { value: at }, name)));
    const panels = {
      sample: panel('Input', { least: '190px' }),
      answer: panel('Answer', { least: '190px' }),
      why: panel('What the answer hangs on', { least: '260px', tools: [chooseMethod, chooseClass] }),
      near: panel('Nearest training rows', { least: '190px' }),
      history: panel('Its loss, each time it was learned from', { least: '190px', wide: true }),
      layers: panel('Layer by layer', { wide: true, least: '300px' }),
    };
    root.append(
      el('h1', { class: 'sr' }, `Sample of ${run}`),
      el('div', { class: 'bar' }, slider.element, picker.element),
      el('div', { class: 'grid' }, Object.values(panels).map((one) => one.element)));
    const { ask } = asker(panels, run, api);
    const update = () => {
      slider.update();
      picker.update();
      const step = stepOf(state, facts);
      const [part, row] = [partOf(state, data).name, rowOf(state, data)];
      ask('sample', { part, row }, '/api/sample', (answer) => [
        answer.words ? el('p', { class: 'text' }, answer.words) : el('div', { class: 'figures' },
          figure(answer.stored, 'as stored', shape(answer.shape)),
          figure(answer.fed, 'as fed', 'resized, then normalised'),
          answer.epochs.slice(0, 6).map((one) => figure(one.picture, `epoch ${one.epoch}`, 'augmented'))),
        el('p', {}, what(answer),
          el('span', { class: 'soft' }, ` · ${answer.id}${answer.words ? '' : ` · numbers ${show(answer.min, 3)} to ${show(answer.max, 3)}`}`)),
        answer.part === 'train' && !answer.epochs.length ? el('p', { class: 'soft' }, 'This run augments nothing.') : null,
      ]);
      ask('layers', { step, part, row }, '/api/layers', (answer) => {
        panels.answer.load(async () => answer, (found) => probabilities(found));
        return layersList(answer, roomOf(panels.layers.body));
      });
      ask('near', { step, part, row }, '/api/neighbours', (answer) => [
        el('p', { class: 'note' }, `By the angle between the ${show(answer.features)} numbers before the classes; of ${answer.compared < answer.rows ? `the first ${show(answer.compared)} of ` : ''}${show(answer.rows)} training rows.`),
        el('div', { class: 'thumbs' }, answer.neighbours.map((one) => thumb(one.picture, {
          label: `${one.label ?? ''} ${percent(one.likeness, 1)}`, title: `training row ${one.row}: cosine ${show(one.likeness, 5)}`,
          href: state.link('sample', { step, part: 'train', row: one.row }), said: one.words,
        }))),
      ]);
      why(step, part, row);
      panels.history.element.hidden = part !== 'train';
      if (part === 'train') {
        ask('history', { row, step: facts.step }, '/api/history', (answer) => {
          if (!answer.losses.length) return empty('It was not learned from yet, or the log has no losses of single rows.');
          const box = el('div', { class: 'plot' });
          const steps = answer.losses.map((one) => one[0]);
          const losses = answer.losses.map((one) => one[2]);
          requestAnimationFrame(() => chart(box, [{
            label: `row ${row}`, colour: colour('c0'), steps, min: losses, max: losses, smooth: losses, marks: [{ step, text: 'the step on the slider' }],
          }], { height: 200, yTitle: 'loss' }));
          const last = answer.losses.at(-1);
          return [box, el('p', { class: 'soft' }, `${show(answer.losses.length)} times, the last time ${show(last[2], 4)} at step ${show(last[0])}, before any weighting`)];
        });
      }
    };
    let methods = null;
    async function why(step, part, row) {
      methods ??= api.get('/api/methods').then((answer) => answer.methods);
      const all = (await methods.catch(() => [])).filter((one) => !data.tokens || one.name === 'occlusion');
      const method = data.tokens ? 'occlusion' : state.get('method', 'integrated');
      if (!chooseMethod.options.length) chooseMethod.replaceChildren(...all.map((one) => el('option', { value: one.name, title: one.about }, one.name)));
      chooseMethod.value = method;
      chooseClass.value = state.get('of');
      ask('why', { step, part, row, method, class: state.get('of') }, '/api/attribution', (answer) => [
        el('p', { class: 'note' }, `${answer.about[0].toUpperCase()}${answer.about.slice(1)}: for the score ${show(answer.score, 4)} of ${data.classes[answer.of]}${answer.layer ? `, at ${answer.layer}` : ''}.${answer.signed ? ' Red speaks for it, blue against it.' : ''}`),
        answer.tokens ? el('div', {}, weighed(answer.tokens, answer.map), certificates(answer.certificates)) : el('div', { class: 'figures' }, tensorCanvas(answer.map, { room: Math.min(280, roomOf(panels.why.body)), tile: 224 }), certificates(answer.certificates)),
      ]);
    }
    update();
    return {
      update,
      unmount() {
        slider.stop();
        Object.values(panels).forEach((one) => one.stop());
      },
    };
  }, { rows: true }),
};
