// Runs: which there are, how far they came, and their curves over each other.

import { chart } from '../chart.js';
import { colour, el, empty, failure, fill, panel, percent, show } from '../draw.js';
import { ALONE } from '../needs.js';

const MOST_OVERLAID = 8;
const LIVE_MS = 5000;
// A training must not feel that it is watched: the page works for one part in so many of the time, however slow the machine.
const SHARE = 200;
const QUIET_MS = 10000;

const TITLES = {
  loss: 'training loss', lr: 'learning rate', grad_norm: 'length of the gradient', weight_norm: 'length of the weights',
  update_norm: 'length of the update', train_loss: 'training loss of the epoch', val_loss: 'validation loss',
  train_accuracy: 'training accuracy', val_accuracy: 'validation accuracy', val_r2: 'validation R²', test_r2: 'test R²',
};
const title = (name) => TITLES[name] ?? name.replaceAll('_', ' ');

function age(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

// A word for how a run is, and its class.
function status(run) {
  if (run.error) return ['damaged', 'bad'];
  if (run.alone) return ['model alone', ''];
  if (run.live) return ['training', 'live'];
  if (run.status === 'running') return [`silent for ${run.quiet === null ? 'ever' : age(run.quiet)}`, 'warn'];
  return [run.status, run.status === 'done' || run.status === 'finished' ? '' : 'warn'];
}

// The figure that says most of a run that ended.
function best(run) {
  const figures = Object.fromEntries((run.figures ?? []).map((figure) => [figure.name, Number(figure.value)]));
  if (figures.test_accuracy !== undefined) return ['test accuracy', percent(figures.test_accuracy, 2)];
  if (figures.val_accuracy !== undefined) return ['val. accuracy', percent(figures.val_accuracy, 2)];
  if (figures.test_r2 !== undefined) return ['test R²', show(figures.test_r2, 4)];
  return ['', ''];
}

export default {
  name: 'runs',
  title: 'Runs',
  mount(root, state, api) {
    const plot = el('div', { class: 'plot' });
    const legend = el('ul', { class: 'legend' });
    const figure = el('select', { 'aria-label': 'Figure', onchange: () => state.set({ y: figure.value, from: '', to: '' }) });
    const smoothing = el('input', { type: 'range', min: 0, max: 100, step: 1, 'aria-label': 'Smoothing in steps' });
    const smoothText = el('output', { class: 'soft fixed' });
    const logX = el('input', { type: 'checkbox', onchange: () => state.set({ logx: logX.checked ? '1' : '' }) });
    const logY = el('input', { type: 'checkbox', onchange: () => state.set({ logy: logY.checked ? '1' : '' }) });
    const all = el('button', { type: 'button', hidden: true, onclick: () => state.set({ from: '', to: '' }) }, 'All steps');
    const table = el('div', { class: 'table-box' });
    const about = panel('The run', { wide: true });
    about.element.hidden = true;
    root.append(
      el('h1', { class: 'sr' }, 'Runs'),
      el('section', { class: 'panel wide' },
        el('header', { class: 'controls' },
          el('label', {}, figure),
          el('label', {}, el('span', { class: 'soft' }, 'Smooth'), smoothing, smoothText),
          el('label', { class: 'check' }, logY, 'log y'),
          el('label', { class: 'check' }, logX, 'log steps'),
          all),
        plot, legend),
      el('section', { class: 'panel wide' }, table),
      about.element);

    // From 0 (none) to a tenth of the run, in equal ratios.
    const half = () => {
      const at = state.number('smooth', 0);
      return at <= 0 ? 0 : Math.round(1.07 ** at);
    };
    let later = 0;
    smoothing.addEventListener('input', () => {
      clearTimeout(later);
      later = setTimeout(() => state.set({ smooth: smoothing.value === '0' ? '' : smoothing.value }), 60);
    });

    const usable = () => state.runs.filter((run) => !run.error && !run.alone);
    // The runs whose curves are drawn: those that were chosen, or the newest.
    function chosen() {
      const asked = state.get('over').split(',').filter(Boolean);
      const there = usable().map((run) => run.id);
      const found = asked.filter((id) => there.includes(id));
      if (state.get('over')) return found.slice(0, MOST_OVERLAID);
      const newest = usable().toSorted((a, b) => (a.started < b.started ? 1 : -1)).slice(0, 4).map((run) => run.id);
      return there.filter((id) => newest.includes(id) || id === state.run).slice(0, MOST_OVERLAID);
    }
    const hue = (id) => colour(`c${usable().findIndex((run) => run.id === id) % 8}`);

    let curves = [];
    let drawn = '';
    let worked = 0; // milliseconds, since the last look at what is new
    let names = { steps: ['loss'], epochs: [] };
    const facts = new Map();

    function draw() {
      const y = state.get('y', 'loss');
      const shown = curves.map((curve) => {
        const known = facts.get(curve.run);
        const marks = (known?.resumes ?? []).map((text) => ({ step: Number(/from step (\d+)/.exec(text)?.[1] ?? -1), text: `resumed ${text}` }));
        if (known?.branched_at) marks.push({ step: known.branched_at, text: `branched from ${known.parent}` });
        return { ...curve, label: curve.run, colour: hue(curve.run), smoothed: half() > 1, marks };
      });
      chart(plot, shown, {
        height: innerWidth < 600 ? 240 : 340, logX: state.get('logx') === '1', logY: state.get('logy') === '1', yTitle: title(y),
        zoomed: (from, to) => state.set({ from, to }),
      });
      fill(legend, shown.map((curve) => {
        const bad = curve.bad ? el('span', { class: 'bad' }, ` ${show(curve.bad)} not finite`) : null;
        const parent = facts.get(curve.run)?.parent;
        return el('li', { style: { '--hue': curve.colour } }, el('i'), curve.label,
          el('span', { class: 'soft' }, curve.last ? ` ${show(curve.last[1], 5)} at step ${show(curve.last[0])}` : ' no such figure'), bad,
          parent ? el('span', { class: 'soft' }, ` · branch of ${parent.split('/').pop()}`) : null);
      }));
    }

    let asked = null;
    async function ask() {
      asked?.abort();
      const own = new AbortController();
      asked = own;
      const y = state.get('y', 'loss');
      const width = Math.round(Math.max(200, plot.clientWidth || 800));
      const ids = chosen();
      const key = JSON.stringify([ids, y, half(), state.get('from'), state.get('to'), width]);
      if (key !== drawn) plot.classList.add('old');
      try {
        const signal = own.signal;
        // Of runs that had ended before they were asked for nothing is new.
        const over = new Map(state.runs.filter((run) => !run.live).map((run) => [run.id, run.step]));
        const kept = (run) => (key === drawn && over.has(run) ? curves.find((curve) => curve.run === run && curve.over === over.get(run)) : null);
        const one = (run) => kept(run) ?? api.get('/api/curve', { run, name: y, width, smooth: half(), from: state.get('from'), to: state.get('to') }, { signal });
        const found = await Promise.all(ids.map(one));
        for (const id of ids) if (!facts.has(id)) facts.set(id, await api.get('/api/run', { run: id }, { signal }));
        curves = found.map((curve) => ({ ...curve, over: over.get(curve.run) }));
        drawn = key;
        names = {
          steps: [...new Set(found.flatMap((curve) => curve.names.steps))], epochs: [...new Set(found.flatMap((curve) => curve.names.epochs))],
        };
        plot.classList.remove('old');
        const began = performance.now();
        controls();
        if (ids.length) draw();
        else fill(plot, empty(state.runs.some((run) => run.alone) ? ALONE : 'Choose a run below to see its curve.'));
        worked += performance.now() - began;
      } catch (error) {
        if (error.name === 'AbortError') return;
        fill(plot, failure(error));
      }
    }

    function controls() {
      const y = state.get('y', 'loss');
      const group = (label, list) => (list.length ? el('optgroup', { label }, list.map((name) => el('option', { value: name, selected: name === y }, title(name)))) : null);
      fill(figure, group('each step', names.steps.length ? names.steps : ['loss']), group('each epoch', names.epochs));
      figure.value = y;
      if (document.activeElement !== smoothing) smoothing.value = state.number('smooth', 0);
      smoothText.textContent = half() ? `${show(half())} steps` : 'off';
      logX.checked = state.get('logx') === '1';
      logY.checked = state.get('logy') === '1';
      all.hidden = !state.get('from') && !state.get('to');
    }

    function toggle(id, on) {
      const next = on ? [...chosen(), id] : chosen().filter((one) => one !== id);
      state.set({ over: next.length ? next.slice(-MOST_OVERLAID).join(',') : 'none' });
    }

    function rows() {
      if (!state.runs.length) {
        fill(table, el('div', { class: 'empty' }, el('p', {}, `There are no runs in ${state.root}.`), el('p', {}, 'Make one: ', el('code', {}, 'glassbox train digits'))));
        return;
      }
      const picked = chosen();
      const focus = document.activeElement?.id;
      fill(table, el('table', { class: 'runs' },
        el('thead', {}, el('tr', {}, ['', 'Run', 'State', 'Steps', 'Loss', 'Result', 'Recipe', 'Parameters', 'Begun (UTC)'].map((name, at) =>
          el('th', { scope: 'col', class: [3, 4, 5, 7].includes(at) ? 'number' : undefined }, name)))),
        el('tbody', {}, state.runs.map((run) => {
          const [word, kind] = status(run);
          const [what, figureText] = best(run);
          const on = picked.includes(run.id);
          const box = el('input', {
            type: 'checkbox', id: `over-${run.id}`, checked: on, 'aria-label': `Draw the curve of ${run.id}`, disabled: Boolean(run.error || run.alone),
            style: { '--hue': run.error || run.alone ? 'transparent' : hue(run.id) }, onchange: (event) => toggle(run.id, event.target.checked),
          });
          if (run.error) return el('tr', {}, el('td', {}, box), el('th', { scope: 'row' }, run.id), el('td', { colspan: 7, class: 'bad' }, run.error.split('\n')[0]));
          return el('tr', { 'aria-current': run.id === state.run ? 'true' : undefined },
            el('td', {}, box),
            el('th', { scope: 'row' }, el('a', { href: `#/time?run=${encodeURIComponent(run.id).replaceAll('%2F', '/')}` }, run.id), run.parent ? el('span', { class: 'badge', title: `branched from ${run.parent}` }, 'branch') : null,
              run.resumed ? el('span', { class: 'badge', title: `resumed ${run.resumed} times` }, 'resumed') : null),
            el('td', {}, el('span', { class: `status ${kind}` }, word)),
            el('td', { class: 'number' }, el('span', { class: 'progress', style: { '--share': run.steps ? run.step / run.steps : 0 } }), show(run.step), el('span', { class: 'soft' }, ` / ${show(run.steps)}`)),
            el('td', { class: 'number' }, show(run.loss, 4)),
            el('td', { class: 'number', title: what }, figureText || '–', what ? el('span', { class: 'soft small' }, ` ${what.split(' ')[0]}`) : null),
            el('td', {}, run.recipe),
            el('td', { class: 'number' }, show(run.parameters || null)),
            el('td', { class: 'soft' }, (run.started ?? '').replace('T', ' ').replace(/(:\d\d)?Z$/, '')));
        }))));
      if (focus?.startsWith('over-')) document.getElementById(focus)?.focus();
    }

    // What the run of the address was made with.
    let told = '';
    function tell() {
      about.element.hidden = !state.run;
      if (!state.run || told === state.run) return;
      told = state.run;
      about.load((signal) => api.get('/api/run', { run: state.run }, { signal }), (run) => {
        const line = (term, ...words) => (words.some(Boolean) ? [el('dt', {}, term), el('dd', {}, words)] : null);
        const { input } = run;
        const names = `${input.classes.slice(0, 12).join(', ')}${input.classes.length > 12 ? ' …' : ''}`;
        return [
          el('dl', { class: 'facts' },
            line('Run', el('strong', {}, run.id), run.parent ? ` · branched from ${run.parent}` : ''),
            run.alone ? line('Model', run.place, ` · ${run.recipe}, after ${show(run.step)} steps`) : line('Command', el('code', {}, run.command)),
            line('Seed', show(run.seed)),
            line('Data', run.alone ? 'not here' : run.source ?? 'ships with the program', ` · ${input.shape.join(' × ')}, ${input.goal === 'number' ? `predicts ${names}` : `${input.classes.length} classes: ${names}`}`),
            line('Checkpoints', run.checkpoints.length ? `${show(run.checkpoints.length)}, the newest of step ${show(run.checkpoints.at(-1))}` : 'none yet'),
            line('Resumed', ...run.resumes.map((text) => el('div', {}, text))),
            line('Figures', run.figures.map((figure) => `${title(figure.name)} ${show(figure.value, 5)}`).join(' · ')),
            run.alone ? null : line('Machine', run.machine.map(([name, fact]) => `${name} ${fact}`).join(' · '), ` · glassbox ${run.version}`)),
          el('details', {}, el('summary', {}, 'All settings, and where each came from'), el('pre', {}, run.config)),
        ];
      });
    }

    let timer = 0;
    async function poll() {
      const live = state.runs.some((run) => run.live);
      timer = setTimeout(async () => {
        if (!document.hidden) {
          try {
            const listed = await api.get('/api/runs');
            state.runs = listed.runs;
            const began = performance.now();
            rows();
            worked = performance.now() - began;
            if (listed.runs.some((run) => run.live && chosen().includes(run.id)) || live) await ask();
          } catch {
            // The next look may find it again; the views say so if someone asks.
          }
        }
        poll();
      }, live ? Math.max(LIVE_MS, SHARE * worked) : QUIET_MS);
    }

    const update = () => {
      controls();
      rows();
      ask();
      tell();
    };
    const resized = new ResizeObserver(() => (curves.length ? draw() : null));
    const themed = () => {
      rows();
      if (curves.length) draw();
    };
    update();
    resized.observe(plot);
    addEventListener('themed', themed);
    poll();
    return {
      update,
      unmount() {
        clearTimeout(timer);
        asked?.abort();
        about.stop();
        resized.disconnect();
        removeEventListener('themed', themed);
      },
    };
  },
};
