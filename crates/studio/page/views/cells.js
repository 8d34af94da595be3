// Cells: Hubel and Wiesel's experiment. A bar is turned and moved on a screen before the network; a unit's answer is heard on
// the right as it would be from an electrode, and its tuning is drawn below.

import { colour, el, fill, panel, show, stepOf, stepSlider, svg } from '../draw.js';
import { forRun } from '../needs.js';

const TRACE = 120; // answers that are kept on the strip

export default {
  name: 'cells',
  title: 'Cells',
  mount: forRun((root, state, api, facts) => {
    const { run } = state;
    const slider = stepSlider(state, facts);
    const layer = el('select', { 'aria-label': 'Layer', onchange: () => state.set({ layer: layer.value, unit: '', window: '' }) });
    const window_ = el('select', { 'aria-label': 'Pooling', onchange: () => state.set({ window: window_.value }) });

    const screen = el('canvas', { class: 'cells-screen', width: 320, height: 320, tabindex: 0, role: 'application', 'aria-label': 'Screen with the bar: drag to move it, turn it with the wheel or the keys a and e, move it with arrow keys' });
    const angle = range('angle', 0, 180, 1, '°');
    const shift = range('shift', -14, 14, 0.5, ' px');
    const thickness = range('thickness', 1, 8, 0.5, ' px');
    const contrast = range('contrast', -3, 3, 0.25, '');
    const sweep = el('button', { type: 'button', onclick: () => run_('sweep') }, 'Sweep');
    const turn = el('button', { type: 'button', onclick: () => run_('turn') }, 'Turn');
    const trace = el('canvas', { class: 'cells-trace', width: 480, height: 150, role: 'img', 'aria-label': 'Answers of the unit to what was shown' });
    const map = el('canvas', { class: 'cells-map', width: 1, height: 1, role: 'img', 'aria-label': 'The map that the unit is in the middle of' });
    const said = el('p', { class: 'cells-said', role: 'status' });
    const tuned = panel('Tuning', { least: '260px' });
    const population = panel('Units of the layer', { wide: true, least: '140px', note: 'Each unit’s answers over orientations, as a rose whose petals lie along the stripes it prefers. Click one to listen to it.' });
    const failed = el('p', { class: 'error', hidden: true });

    root.append(
      el('h1', { class: 'sr' }, `Cells of ${run}`),
      el('div', { class: 'bar' }, slider.element, el('div', { class: 'picker' }, el('label', {}, 'layer ', layer), el('label', {}, 'answers ', window_))),
      failed,
      el('div', { class: 'cells-table' },
        el('section', { class: 'panel' }, el('header', {}, el('h2', {}, 'Stimulus')),
          el('div', { class: 'body' }, screen, angle.element, shift.element, el('details', {}, el('summary', {}, 'the bar'), thickness.element, contrast.element), el('div', { class: 'picker' }, sweep, turn))),
        el('section', { class: 'panel' }, el('header', {}, el('h2', {}, 'Response')),
          el('div', { class: 'body' }, trace, said, el('div', { class: 'cells-beside' }, map, el('p', { class: 'soft' }, 'The map of this unit for what is on the screen; the unit listened to is framed.')))),
        tuned.element),
      population.element);

    let about = null; // layers and screen
    let tuning = null; // all units of the layer
    let tuningOf = '';
    let heard = []; // answers, newest last
    let asking = false;
    let again = false;
    let moving = 0;
    let closed = false;

    function range(name, least, most, step, unit) {
      const input = el('input', { type: 'range', min: least, max: most, step, 'aria-label': name, oninput: () => state.set({ [name]: input.value }) });
      const value = el('output', {});
      return { element: el('label', { class: 'cells-range' }, el('span', {}, name), input, value), input, set(number) {
        input.value = number;
        value.textContent = `${show(number)}${unit}`;
      } };
    }

    const now = () => ({
      step: stepOf(state, facts), layer: state.get('layer', about?.usual), window: state.number('window', 1), unit: state.number('unit', 0),
      angle: state.number('angle', 45), shift: state.number('shift', 0), thickness: state.number('thickness', 2), contrast: state.number('contrast', 2),
    });

    async function begin() {
      try {
        about = await api.get('/api/cells', { run, step: stepOf(state, facts) });
      } catch (error) {
        if (closed) return;
        failed.hidden = false;
        failed.textContent = error.message;
        return;
      }
      if (closed) return;
      fill(layer, about.layers.map((one) => el('option', { value: one.path }, `${one.path}: ${one.shape[1]} units`)));
      const reach = Math.floor(Math.min(about.height, about.width) / 2);
      shift.input.min = -reach;
      shift.input.max = reach;
      update();
    }

    // ---- The bar, and what it evokes.

    async function ask() {
      if (!about || closed) return;
      if (asking) {
        again = true;
        return;
      }
      asking = true;
      const asked = now();
      try {
        const answer = await api.get('/api/cells/answer', { run, ...asked });
        if (closed) return;
        failed.hidden = true;
        drawBar(answer.bar, asked);
        drawMap(answer.map, asked);
        const evoked = Number(answer.answers[asked.unit]) - Number(answer.spontaneous[asked.unit]);
        heard.push({ evoked, key: `${asked.layer} ${asked.unit} ${asked.window} ${asked.step}` });
        heard = heard.slice(-TRACE);
        drawTrace(asked, Number(answer.answers[asked.unit]), evoked);
      } catch (error) {
        if (closed) return;
        failed.hidden = false;
        failed.textContent = error.message;
        stop();
      } finally {
        asking = false;
      }
      if (again) {
        again = false;
        ask();
      }
    }

    function pixels(canvas, tensor, shade) {
      const numbers = api.numbers(tensor);
      const [height, width] = tensor.shape;
      const small = document.createElement('canvas');
      [small.width, small.height] = [width, height];
      const context = small.getContext('2d');
      const image = context.createImageData(width, height);
      numbers.forEach((number, at) => {
        const [r, g, b] = shade(number);
        image.data.set([r, g, b, 255], at * 4);
      });
      context.putImageData(image, 0, 0);
      const to = canvas.getContext('2d');
      to.imageSmoothingEnabled = false;
      to.drawImage(small, 0, 0, canvas.width, canvas.height);
      return to;
    }

    function drawBar(bar) {
      pixels(screen, bar, (number) => {
        const grey = Math.max(0, Math.min(255, 112 + 47 * number));
        return [grey, grey, grey];
      });
    }

    function drawMap(tensor, asked) {
      const [height, width] = tensor.shape;
      const zoom = Math.max(1, Math.floor(168 / Math.max(height, width)));
      [map.width, map.height] = [width * zoom, height * zoom];
      const numbers = api.numbers(tensor);
      const most = Math.max(...numbers.map(Math.abs), 1e-9);
      const context = pixels(map, tensor, (number) => {
        const share = number / most;
        return share >= 0 ? [255 * share, 255 * share * 0.86, 255 * share * 0.6] : [0, -90 * share, -230 * share];
      });
      const start = (size) => Math.floor((size - asked.window) / 2);
      context.strokeStyle = colour('accent');
      context.lineWidth = 2;
      context.strokeRect(start(width) * zoom - 1, start(height) * zoom - 1, asked.window * zoom + 2, asked.window * zoom + 2);
    }

    function drawTrace(asked, answer, evoked) {
      const context = trace.getContext('2d');
      const { width, height } = trace;
      context.clearRect(0, 0, width, height);
      const key = heard.at(-1).key;
      const own = heard.filter((one) => one.key === key);
      const unit = unitOf(asked);
      const most = Math.max(unit ? Number(unit.peak) : 0, ...own.map((one) => Math.abs(one.evoked)), 1e-9);
      const base = height * 0.8;
      context.strokeStyle = colour('line');
      context.beginPath();
      context.moveTo(0, base);
      context.lineTo(width, base);
      context.stroke();
      const each = width / TRACE;
      own.forEach((one, at) => {
        const x = width - (own.length - at) * each;
        const tall = (one.evoked / most) * (one.evoked >= 0 ? base - 6 : height - base - 3);
        context.fillStyle = colour(one.evoked >= 0 ? 'accent' : 'faint');
        context.globalAlpha = 0.35 + (0.65 * (at + 1)) / own.length;
        context.fillRect(x, base - Math.max(tall, 0), Math.max(1.5, each - 1), Math.max(Math.abs(tall), 1));
      });
      context.globalAlpha = 1;
      fill(said, 'unit ', el('b', {}, asked.unit), ' of ', asked.layer, ': ', el('b', { class: 'cells-now' }, show(answer, 4)), `, ${evoked >= 0 ? '+' : '−'}${show(Math.abs(evoked), 3)} against the empty screen`);
      drawTuning(asked);
    }

    // ---- Tuning.

    const unitOf = (asked) => (tuning && tuningOf === keyOf(asked) ? tuning.units[asked.unit] : null);
    const keyOf = ({ step, layer: of, window }) => `${step} ${of} ${window}`;

    function loadTuning() {
      const asked = now();
      const key = keyOf(asked);
      if (!about || key === tuningOf) return;
      tuningOf = key;
      tuning = null;
      drawn = '';
      population.load((signal) => api.get('/api/cells/tuning', { run, step: asked.step, layer: asked.layer, window: asked.window }, { signal }), (answer) => {
        tuning = { ...answer, units: answer.units.map((unit) => ({ ...unit, curve: api.numbers({ f32: unit.curve }), cycle: api.numbers({ f32: unit.cycle }), bars: api.numbers({ f32: unit.bars }) })) };
        drawTuning(now());
        return el('div', { class: 'cells-units' }, tuning.units.map((unit, at) => el('button', {
          type: 'button', class: 'cells-unit', 'data-unit': at, title: title(unit, at), 'aria-pressed': String(at === now().unit), onclick: () => state.set({ unit: at }),
        }, rose(unit, 52), el('span', {}, at))));
      });
    }

    const title = (unit, at) => `unit ${at}: prefers ${show(unit.preferred, 3)}°, OSI ${show(unit.osi, 2)}, F1/F0 ${show(unit.modulation, 2)}`;

    // Answers over orientations; the petals lie along the stripes. Angles are measured across them, downwards.
    function rose(unit, size) {
      const most = Math.max(...unit.curve, 1e-9);
      const middle = size / 2;
      const points = [];
      for (const half of [0, 180]) {
        unit.curve.forEach((answer, at) => {
          const radians = ((180 * at) / unit.curve.length + half + 90) * (Math.PI / 180);
          const radius = (middle - 3) * (Math.max(answer, 0) / most);
          points.push(`${(middle + radius * Math.cos(radians)).toFixed(1)},${(middle + radius * Math.sin(radians)).toFixed(1)}`);
        });
      }
      return svg('svg', { viewBox: `0 0 ${size} ${size}`, width: size, height: size, 'aria-hidden': 'true' },
        svg('circle', { cx: middle, cy: middle, r: middle - 2, class: 'ring' }),
        svg('polygon', { points: points.join(' '), class: 'petal' }));
    }

    let drawn = '';
    function drawTuning(asked) {
      const unit = unitOf(asked);
      const key = `${tuningOf} ${asked.unit} ${Boolean(unit)}`;
      if (key !== drawn) {
        drawn = key;
        if (unit) fill(tuned.body, tuningOfUnit(unit));
        else tuned.clear('The unit is being tuned: 36 orientations, 5 frequencies, 16 phases.');
        population.body.querySelectorAll('[data-unit]').forEach((one) => one.setAttribute('aria-pressed', String(Number(one.dataset.unit) === asked.unit)));
      }
      if (!unit) return;
      const mark = tuned.body.querySelector('.cells-at');
      mark?.setAttribute('transform', `translate(${30 + (Math.min(asked.angle, 180) / 180) * 260} 0)`);
      const cross = tuned.body.querySelector('.cells-cross');
      if (cross) {
        cross.setAttribute('cx', ((asked.shift - tuning.shifts[0]) / (tuning.shifts.at(-1) - tuning.shifts[0])) * 260 + 30);
        cross.setAttribute('cy', 8 + ((asked.angle % 180) / 180) * 108);
      }
    }

    function tuningOfUnit(unit) {
      const most = Math.max(...unit.curve, 1e-9);
      const x = (at) => 30 + (at / unit.curve.length) * 260;
      const y = (answer) => 112 - 100 * (Math.max(answer, 0) / most);
      const around = [...unit.curve, unit.curve[0]];
      const curve = svg('svg', { viewBox: '0 0 300 140', class: 'cells-curve', role: 'img', 'aria-label': 'Tuning curve over orientation' },
        svg('line', { x1: 30, y1: 112, x2: 290, y2: 112, class: 'axis' }),
        [0, 45, 90, 135, 180].map((degrees) => svg('text', { x: 30 + (degrees / 180) * 260, y: 126, class: 'tick' }, `${degrees}°`)),
        svg('text', { x: 26, y: 16, class: 'tick end' }, show(most, 3)),
        svg('line', { x1: 30 + (unit.preferred / 180) * 260, y1: 8, x2: 30 + (unit.preferred / 180) * 260, y2: 112, class: 'preferred' }),
        svg('polyline', { points: around.map((answer, at) => `${x(at)},${y(answer)}`).join(' '), class: 'line' }),
        svg('g', { class: 'cells-at' }, svg('line', { x1: 0, y1: 4, x2: 0, y2: 112 })),
        svg('text', { x: 160, y: 138, class: 'tick' }, 'angle across the stripes'));
      const kind = unit.modulation > 1 ? 'simple' : 'complex';
      const silent = Number(unit.peak) <= 0;
      return [
        curve,
        el('dl', { class: 'cells-facts' },
          [['prefers', silent ? 'nothing' : `${show(unit.preferred, 3)}° at ${show(1 / unit.frequency, 3)} px a cycle`],
            ['OSI', show(unit.osi, 3)], ['circular variance', show(unit.circular_variance, 3)],
            ['F1/F0', silent ? '–' : `${show(unit.modulation, 3)}: ${kind}`]].map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
        barsOfUnit(unit),
        el('button', { type: 'button', onclick: () => prefer(unit) }, 'Show it what it prefers'),
      ];
    }

    // Answers to the bar: angles down, places to the right. A click puts the bar there.
    function barsOfUnit(unit) {
      const { shifts, angles } = tuning;
      const base = Number(unit.spontaneous);
      const most = Math.max(...unit.bars.map((answer) => Math.abs(answer - base)), 1e-9);
      const [w, h] = [260 / shifts.length, 108 / angles];
      const cells = [];
      unit.bars.forEach((answer, at) => {
        const share = (answer - base) / most;
        if (Math.abs(share) < 0.01) return;
        cells.push(svg('rect', { x: 30 + (at % shifts.length) * w, y: 8 + Math.floor(at / shifts.length) * h, width: w + 0.3, height: h + 0.3, class: share > 0 ? 'up' : 'down', style: { 'fill-opacity': Math.abs(share).toFixed(3) } }));
      });
      const put = (event) => {
        const box = event.currentTarget.getBoundingClientRect();
        const across = ((event.clientX - box.left) / box.width) * 300;
        const down = ((event.clientY - box.top) / box.height) * 146;
        const share = Math.max(0, Math.min(1, (across - 30) / 260));
        const turned = Math.max(0, Math.min(0.999, (down - 8) / 108));
        state.set({ shift: Math.round((shifts[0] + share * (shifts.at(-1) - shifts[0])) * 2) / 2, angle: Math.round(turned * 180) });
      };
      return svg('svg', { viewBox: '0 0 300 146', class: 'cells-bars', role: 'img', 'aria-label': 'Answers to the bar by angle and place', onclick: put },
        svg('rect', { x: 30, y: 8, width: 260, height: 108, class: 'ground' }), cells,
        [0, 90, 180].map((degrees) => svg('text', { x: 26, y: 12 + (degrees / 180) * 104, class: 'tick end' }, `${degrees}°`)),
        [shifts[0], 0, shifts.at(-1)].map((place) => svg('text', { x: 30 + ((place - shifts[0]) / (shifts.at(-1) - shifts[0])) * 260, y: 130, class: place === shifts.at(-1) ? 'tick end' : 'tick' }, `${place} px`)),
        svg('text', { x: 160, y: 143, class: 'tick' }, 'answers to the bar: angle down, shift across'),
        svg('circle', { class: 'cells-cross', r: 4 }));
    }

    function prefer(unit) {
      let best = 0;
      unit.bars.forEach((answer, at) => {
        if (answer > unit.bars[best]) best = at;
      });
      state.set({ angle: Math.round((180 * Math.floor(best / tuning.shifts.length)) / tuning.angles), shift: tuning.shifts[best % tuning.shifts.length], thickness: tuning.thickness, contrast: tuning.contrast });
    }

    // ---- Moving by itself, by hand, by keys.

    function stop() {
      clearInterval(moving);
      moving = 0;
      sweep.textContent = 'Sweep';
      turn.textContent = 'Turn';
    }
    function run_(kind) {
      const was = moving;
      stop();
      if (was) return;
      (kind === 'sweep' ? sweep : turn).textContent = 'Stop';
      const reach = Number(shift.input.max);
      if (kind === 'sweep') state.set({ shift: -reach });
      moving = setInterval(() => {
        if (asking) return;
        const { angle: at, shift: place } = now();
        if (kind === 'turn') state.set({ angle: (at + 5) % 180 });
        else if (place >= reach) stop();
        else state.set({ shift: Math.min(reach, place + 0.5) });
      }, 60);
    }

    const turned = (by) => state.set({ angle: (now().angle + by + 180) % 180 });
    const moved = (by) => state.set({ shift: Math.max(Number(shift.input.min), Math.min(Number(shift.input.max), now().shift + by)) });
    let held = null;
    screen.addEventListener('pointerdown', (event) => {
      screen.setPointerCapture(event.pointerId);
      held = { x: event.clientX, y: event.clientY, shift: now().shift };
    });
    screen.addEventListener('pointermove', (event) => {
      if (!held || !about) return;
      const scale = about.width / screen.getBoundingClientRect().width;
      const radians = (now().angle * Math.PI) / 180;
      const along = ((event.clientX - held.x) * Math.cos(radians) + (event.clientY - held.y) * Math.sin(radians)) * scale;
      const place = Math.round((held.shift + along) * 2) / 2;
      state.set({ shift: Math.max(Number(shift.input.min), Math.min(Number(shift.input.max), place)) });
    });
    for (const kind of ['pointerup', 'pointercancel']) screen.addEventListener(kind, () => { held = null; });
    screen.addEventListener('wheel', (event) => {
      event.preventDefault();
      turned(event.deltaY > 0 ? 5 : -5);
    }, { passive: false });
    screen.addEventListener('keydown', (event) => {
      const act = { ArrowLeft: () => moved(-0.5), ArrowRight: () => moved(0.5), ArrowUp: () => turned(-5), ArrowDown: () => turned(5), a: () => turned(-5), e: () => turned(5) }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    });

    let asked = '';
    function update() {
      slider.update();
      const all = now();
      angle.set(all.angle);
      shift.set(all.shift);
      thickness.set(all.thickness);
      contrast.set(all.contrast);
      if (!about) return;
      layer.value = all.layer;
      const windows = about.layers.find((one) => one.path === all.layer)?.windows ?? [1];
      fill(window_, windows.map((size) => el('option', { value: size, selected: size === all.window }, size === 1 ? 'of the unit' : `largest of ${size} × ${size}`)));
      window_.value = all.window;
      loadTuning();
      const key = JSON.stringify(all);
      if (key === asked) return;
      asked = key;
      ask();
      drawTuning(all);
    }
    const themed = () => {
      asked = '';
      update();
    };
    addEventListener('themed', themed);
    begin();
    return {
      update,
      unmount() {
        closed = true;
        stop();
        tuned.stop();
        population.stop();
        slider.stop();
        removeEventListener('themed', themed);
      },
    };
  }),
};
