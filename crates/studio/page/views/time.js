// Time: one slider over the steps of a run, and everything at that step: filters, activations, gradients, confusion, answers.

import { asker, bars, el, empty, panel, percent, probabilities, roomOf, shape, show, stepOf, stepSlider, tensorCanvas, layersList } from '../draw.js';
import { matrix } from '../matrix.js';
import { ALONE, forRun, partOf, rowOf, rowPicker } from '../needs.js';

// Of each parameter the length of its gradient, on a scale of powers of ten: what is a thousandth is still seen.
function flowBars(parameters) {
  const lengths = parameters.map((one) => Number(one.gradient)).filter((value) => value > 0 && Number.isFinite(value));
  const [least, most] = [Math.log10(Math.min(...lengths)) - 0.3, Math.log10(Math.max(...lengths))];
  const share = (value) => (value > 0 ? (Math.log10(value) - least) / (most - least || 1) : 0);
  const row = (one) => ({
    label: one.name, share: share(Number(one.gradient)), mark: one.bad ? 'bad' : '', text: show(one.gradient, 3),
    more: one.ratio === null ? '–' : `${show(100 * Number(one.ratio), 2)} %`,
  });
  return bars(parameters.map(row), { label: 'parameter', heads: ['parameter', 'gradient (log scale)', '', 'moved by'] });
}

// A matrix that reads the pixels of a picture is drawn as pictures: one for each of its rows.
function asPictures(weight, input) {
  const pixels = input.reduce((a, b) => a * b, 1);
  const fits = input.length === 3 && weight.shape.length === 2 && weight.shape[1] === pixels;
  return fits ? { ...weight, shape: [weight.shape[0], ...input] } : weight;
}

export default {
  name: 'time',
  title: 'Time',
  mount: forRun((root, state, api, facts, data) => {
    const { run } = state;
    const slider = stepSlider(state, facts);
    // A model alone has its weights and nothing else.
    const picker = facts.alone ? null : rowPicker(state, data);
    const chooseWeight = el('select', { 'aria-label': 'Parameter', onchange: () => state.set({ weight: chooseWeight.value }) });
    const panels = {
      filters: panel('Weights', { tools: [chooseWeight], least: '160px' }),
      flow: panel('Gradient flow', { least: '260px' }),
      answer: panel('Answer', { least: '260px' }),
      confusion: panel('Confusion', { least: '260px' }),
      layers: panel('Activations', { wide: true, least: '300px' }),
    };
    root.append(
      el('h1', { class: 'sr' }, `Time: ${run}`),
      el('div', { class: 'bar' }, slider.element, picker?.element),
      el('div', { class: 'grid' }, panels.filters.element, panels.flow.element, panels.answer.element, panels.confusion.element, panels.layers.element));

    const { ask, forget } = asker(panels, run, api);
    const update = () => {
      slider.update();
      const step = stepOf(state, facts);
      if (facts.alone) {
        for (const name of ['flow', 'answer', 'confusion', 'layers']) panels[name].clear(ALONE);
        weights(step);
        return;
      }
      picker.update();
      const [part, row] = [partOf(state, data).name, rowOf(state, data)];
      // The step itself first: from there to after it is one step, and back would be many.
      if (step === 0) {
        forget('flow');
        panels.flow.clear('No step was made yet: this is the network as the seed made it.');
      } else {
        ask('flow', { step }, '/api/flow', (answer) => [
          el('p', { class: 'note' }, `Of step ${show(step)}; "moved by" is the length of the update as a share of the parameter's own.`),
          flowBars(answer.parameters),
          dead(answer.layers),
        ]);
      }
      weights(step);
      ask('layers', { step, part, row }, '/api/layers', (answer) => {
        panels.answer.load(async () => answer, (found) => [probabilities(found), rowLine(found)]);
        return layersList(answer, roomOf(panels.layers.body));
      });
      ask('confusion', { step, part, most: 1000 }, '/api/confusion', (answer) => [
        el('p', { class: 'note' }, `${percent(answer.accuracy, 2)} right, loss ${show(answer.loss, 4)}, on ${answer.asked < answer.rows ? `the first ${show(answer.asked)} of ${show(answer.rows)}` : `all ${show(answer.rows)}`} ${part} rows`),
        matrix(answer, { small: answer.classes.length > 6, choose: (label, taken) => state.open('confusion', { step, part, cell: `${label},${taken}` }) }),
      ]);
    };
    const weights = (step) => {
      ask('filters', { step, name: state.get('weight') }, '/api/weights', (answer) => {
        const names = answer.parameters.map((parameter) => el('option', { value: parameter.name, selected: parameter.name === answer.weight?.name }, `${parameter.name} ${shape(parameter.shape)}`));
        chooseWeight.replaceChildren(...names);
        if (!answer.weight) return empty('This model has no parameters.');
        const weight = asPictures(answer.weight, data.shape);
        return [
          tensorCanvas(weight, { room: roomOf(panels.filters.body), tile: weight.shape.length === 4 ? 48 : 300, most: 64 }),
          el('p', { class: 'soft' }, `${show(weight.stats.count)} numbers, ${show(weight.stats.min, 3)} to ${show(weight.stats.max, 3)}, length ${show(weight.stats.norm, 4)}${weight.cut ? ' (the first are drawn)' : ''}`),
        ];
      });
    };
    const rowLine = (answer) => el('p', { class: 'soft' }, `${answer.part} row ${show(answer.row)}`,
      answer.class === null || answer.class === undefined ? '' : `, a ${data.classes[answer.class]}`, ' · ',
      el('a', { href: state.link('sample', { step: answer.step, part: answer.part, row: answer.row }) }, 'all of it'));
    const dead = (layers) => {
      const most = layers.filter((layer) => /relu/i.test(layer.name) && Number(layer.zeros) > 0).map((layer) => `${layer.name} ${percent(layer.zeros, 0)}`);
      return most.length ? el('p', { class: 'soft' }, `Zero after the activation: ${most.join(', ')}`) : null;
    };
    update();
    return {
      update,
      unmount() {
        slider.stop();
        Object.values(panels).forEach((one) => one.stop());
      },
    };
  }),
};
