// Teach: small graphs, values written on the way forward and gradients on the way back, one op at a time. The numbers come from
// the engine; nothing is computed here.

import { el, fill, svg } from '../draw.js';

function short(number) {
  if (typeof number !== 'number') return String(number);
  const size = Math.abs(number);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return number.toExponential(2).replace('-', '−');
  return String(Number(number.toFixed(size < 1 ? 4 : 3))).replace('-', '−');
}
const SIGNS = { add: '+', sub: '−', mul: '×', div: '÷', sigmoid: 'σ' };

export default {
  name: 'teach',
  title: 'Teach',
  mount(root, state, api) {
    let lesson = null;
    let asked = 0;
    let playing = 0;

    const picker = el('select', { 'aria-label': 'Example', onchange: () => state.set({ example: picker.value, set: '', at: '' }) });
    const stage = el('div', { class: 'teach-stage', tabindex: 0, 'aria-label': 'Graph with its numbers' });
    const told = el('p', { class: 'teach-told', role: 'status' });
    const range = el('input', { type: 'range', min: 0, 'aria-label': 'How far', oninput: () => state.set({ at: range.value }) });
    const play = el('button', { onclick: () => (playing ? stop() : start()) }, 'Play');
    const back = el('button', { onclick: () => move(-1), title: 'Back (p)' }, '◀ Back');
    const next = el('button', { onclick: () => move(1), title: 'Next (n)' }, 'Next ▶');
    const about = el('p', { class: 'soft' });
    const inputs = el('div', { class: 'teach-inputs' });
    const rows = el('div', { class: 'teach-rows' });
    root.append(
      el('div', { class: 'graph-tools' }, el('label', {}, 'example ', picker), el('div', { class: 'segments' }, back, next), play, range),
      about, told, stage,
      el('div', { class: 'teach-below' }, inputs, rows),
    );

    // Values forward, one op each; then the gradient of the result, and back through one op each.
    function steps() {
      const ops = lesson.boxes.map((_, at) => at).filter((at) => lesson.boxes[at].op);
      return [...ops.map((at) => ['forward', at]), ['seed', lesson.boxes.length - 1], ...ops.toReversed().map((at) => ['backward', at])];
    }
    const last = () => steps().length;
    const position = () => Math.min(state.number('at', last()), last());

    function move(by) {
      stop();
      if (lesson) state.set({ at: Math.max(0, Math.min(last(), position() + by)) });
    }
    function start() {
      if (!lesson) return;
      if (position() === last()) state.set({ at: 0 });
      play.textContent = 'Pause';
      playing = setInterval(() => {
        if (position() >= last()) stop();
        else state.set({ at: position() + 1 });
      }, 900);
    }
    function stop() {
      clearInterval(playing);
      playing = 0;
      play.textContent = 'Play';
    }

    async function load() {
      asked += 1;
      const mine = asked;
      try {
        const answer = await api.get('/api/teach', { example: state.get('example'), set: state.get('set') });
        if (mine !== asked) return;
        lesson = answer;
        frame();
        draw();
      } catch (error) {
        if (mine === asked) fill(told, el('span', { class: 'error' }, error.message));
      }
    }

    // Learns some steps: the new weights go into the address, as if they had been typed.
    async function learn(times, rate) {
      const answer = await api.get('/api/teach', { example: lesson.id, set: state.get('set'), learn: times, rate });
      state.set({ set: answer.inputs.map((input) => `${input.name}:${input.value}`).join(',') });
    }

    // What was typed, and the others as exactly as they are.
    function given(typed) {
      return lesson.inputs.map((input) => `${input.name}:${typed.dataset.name === input.name ? typed.value : input.value}`).join(',');
    }

    // What does not change from step to step.
    function frame() {
      fill(picker, lesson.examples.map((one) => el('option', { value: one.id, selected: one.id === lesson.id }, one.title)));
      about.textContent = lesson.about;
      const field = (input) => el('label', { class: input.learnt ? 'learnt' : '' }, `${input.name} `,
        el('input', { type: 'number', step: 'any', value: Number(Number(input.value).toPrecision(4)), title: input.value, 'data-name': input.name, onchange: (event) => state.set({ set: given(event.target) }) }));
      const reset = el('button', { onclick: () => state.set({ set: '' }) }, 'As at first');
      fill(inputs, [el('h3', {}, 'Inputs and weights'), el('div', { class: 'teach-fields' }, lesson.inputs.map(field)), reset]);
      if (!lesson.rows) {
        fill(rows, []);
        return;
      }
      const { columns, answers, answer, loss } = lesson.rows;
      const rate = el('input', { type: 'number', step: 'any', min: 0, value: lesson.rate, 'aria-label': 'Learning rate' });
      const button = (times) => el('button', { 'data-learn': times, onclick: () => learn(times, rate.value) }, `${times} ${times === 1 ? 'step' : 'steps'}`);
      const use = (row) => state.set({ set: lesson.inputs.map((input) => `${input.name}:${columns.includes(input.name) ? row[columns.indexOf(input.name)] : input.value}`).join(',') });
      fill(rows, [
        el('h3', {}, 'All rows'),
        el('table', {},
          el('thead', {}, el('tr', {}, columns.map((name) => el('th', {}, name)), el('th', {}, answer), el('th', {}))),
          el('tbody', {}, lesson.rows.rows.map((row, at) => el('tr', {},
            row.map((value) => el('td', {}, short(value))),
            el('td', { class: Math.abs(answers[at] - row.at(-1)) < 0.5 ? 'good' : 'bad' }, short(answers[at])),
            el('td', {}, el('button', { class: 'link', onclick: () => use(row) }, 'show')))))),
        el('p', {}, `mean loss ${short(loss)}`),
        el('div', { class: 'teach-learn' }, el('label', {}, 'learn at rate ', rate), button(1), button(100), button(1000)),
      ]);
    }

    function draw() {
      if (!lesson) return;
      const all = steps();
      const at = position();
      const now = at > 0 ? all[at - 1] : null;
      range.max = all.length;
      range.value = at;
      back.disabled = at === 0;
      next.disabled = at === all.length;
      const passed = all.slice(0, at);
      const valued = new Set(passed.filter(([kind]) => kind === 'forward').map(([, box]) => box));
      const returned = new Set(passed.filter(([kind]) => kind === 'backward').map(([, box]) => box));
      const seeded = passed.some(([kind]) => kind === 'seed');
      const hasValue = (box) => !lesson.boxes[box].op || valued.has(box);
      // A gradient is whole when everything that uses the value has handed its part back.
      const users = (box) => lesson.wires.filter((wire) => wire.from === box);
      const hasGradient = (box) => (users(box).length ? users(box).every((wire) => returned.has(wire.to)) : seeded);

      const [width, height] = lesson.size;
      const pad = 26;
      const wires = lesson.wires.map((wire) => {
        const [a, b] = [lesson.boxes[wire.from], lesson.boxes[wire.to]];
        const start = [a.x + a.w / 2, a.y];
        const points = [start, ...wire.bends, [b.x - b.w / 2, b.y]];
        let path = `M${points[0]}`;
        for (let i = 1; i < points.length; i += 1) {
          const middle = (points[i - 1][0] + points[i][0]) / 2;
          path += ` C${middle},${points[i - 1][1]} ${middle},${points[i][1]} ${points[i]}`;
        }
        const active = now && now[1] === wire.to && now[0] !== 'seed';
        return svg('path', { d: path, class: `teach-wire${active ? ` ${now[0]}` : ''}` });
      });
      const boxes = lesson.boxes.map((box, index) => {
        const active = now?.[1] === index;
        const sign = box.op ? SIGNS[box.op] ?? box.op : box.name;
        return svg('g', { class: `teach-box${box.op ? '' : ' leaf'}${active ? ` now ${now[0]}` : ''}`, 'data-name': box.name },
          svg('title', {}, box.op ? `${box.name}: ${box.formula}; gradient ${box.gradient_formula}` : box.name),
          svg('rect', { x: box.x - box.w / 2, y: box.y - box.h / 2, width: box.w, height: box.h, rx: box.op ? 8 : box.h / 2 }),
          svg('text', { x: box.x, y: box.op ? box.y - 3 : box.y + 5, class: 'sign' }, sign),
          box.op ? svg('text', { x: box.x, y: box.y + 14, class: 'name' }, box.name) : null,
          hasValue(index) ? svg('text', { x: box.x + box.w / 2 + 6, y: box.y - 6, class: 'value' }, short(box.value)) : null,
          hasGradient(index) ? svg('text', { x: box.x + box.w / 2 + 6, y: box.y + 16, class: 'gradient' }, short(box.gradient)) : null);
      });
      fill(stage, svg('svg', { viewBox: `${-pad} ${-pad} ${width + 2 * pad} ${height + 2 * pad}`, role: 'img', 'aria-label': lesson.title, style: { '--wide': `${width + 2 * pad}px` } }, wires, boxes));
      fill(told, tell(now, users));
    }

    // The step in words.
    function tell(now, users) {
      const value = (text) => el('b', { class: 'value' }, text);
      const gradient = (text) => el('b', { class: 'gradient' }, text);
      if (!now) return ['The inputs are given. ', el('kbd', {}, 'n'), ' goes on, ', el('kbd', {}, 'p'), ' back.'];
      const [kind, index] = now;
      const box = lesson.boxes[index];
      const into = lesson.wires.filter((wire) => wire.to === index);
      if (kind === 'forward') {
        const of = into.map((wire) => lesson.boxes[wire.from]);
        const said = of.length === 2 ? [value(short(of[0].value)), ` ${SIGNS[box.op] ?? box.op} `, value(short(of[1].value))] : [`${box.op}(`, value(short(of[0].value)), ')'];
        return ['Forward: ', el('i', {}, box.name), ' = ', said, ' = ', value(short(box.value)), el('span', { class: 'soft' }, ` — ${box.formula}`)];
      }
      if (kind === 'seed') return ['The gradient of ', el('i', {}, box.name), ' with respect to itself is ', gradient('1'), ': from here it flows back.'];
      const parts = into.map((wire, at) => {
        const from = lesson.boxes[wire.from];
        const more = users(wire.from).length > 1 ? ' (a part: it adds up with the others)' : '';
        return [at ? '; ' : '', 'to ', el('i', {}, from.name), ': ', gradient(short(box.gradient)), ' × ', short(wire.local), ' = ', gradient(short(wire.back)), more];
      });
      return ['Back through ', el('i', {}, box.name), ', upstream times local: ', parts, el('span', { class: 'soft' }, ` — its rule: ${box.gradient_formula}`)];
    }

    const keys = (event) => {
      if (event.target.closest?.('input:not([type=range]), select, textarea') || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'n') move(1);
      else if (event.key === 'p') move(-1);
      else if (event.key === ' ' && event.target.tagName !== 'BUTTON') (playing ? stop : start)();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', keys);

    let shown = null;
    function update() {
      const now = `${state.get('example')} ${state.get('set')}`;
      if (now !== shown) {
        shown = now;
        load();
      } else {
        draw();
      }
    }
    update();
    return {
      update,
      unmount() {
        stop();
        asked += 1;
        removeEventListener('keydown', keys);
      },
    };
  },
};
