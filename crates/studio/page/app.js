// The page's frame: which view, of which run, in which state. All of it is in the address, so that a view can be shared:
// #/time?run=digits-1&step=400

import * as api from './api.js';
import { el, fill } from './draw.js';
import { views } from './registry.js';

const main = document.getElementById('main');
const runPicker = document.getElementById('run');
const work = document.getElementById('work');

let shown = null; // { view, handle }
let values = new URLSearchParams();

// What a view knows of the address, and how it changes it.
export const state = {
  get: (name, other = '') => values.get(name) ?? other,
  number(name, other) {
    const text = values.get(name);
    const number = Number(text);
    return text === null || text === '' || !Number.isFinite(number) ? other : number;
  },
  // Changes values; undefined or '' removes one. The view hears of it through update().
  set(changes, { push = false } = {}) {
    const next = new URLSearchParams(values);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined || value === null || value === '') next.delete(name);
      else next.set(name, value);
    }
    if (next.toString() === values.toString()) return;
    go(shown?.view.name ?? 'runs', next, push);
  },
  // Another view, with the run that is looked at and these values.
  open(name, changes = {}) {
    const next = new URLSearchParams();
    if (values.get('run')) next.set('run', values.get('run'));
    for (const [key, value] of Object.entries(changes)) next.set(key, value);
    go(name, next, true);
  },
  link(name, changes = {}) {
    const next = new URLSearchParams();
    if (values.get('run')) next.set('run', values.get('run'));
    for (const [key, value] of Object.entries(changes)) next.set(key, value);
    return `#/${name}?${next}`;
  },
  get run() {
    return values.get('run') ?? '';
  },
  runs: [],
};

function address(name) {
  const text = values.toString().replaceAll('%2F', '/').replaceAll('%2C', ',');
  return `#/${name}${text ? `?${text}` : ''}`;
}

function go(name, next, push) {
  values = next;
  history[push ? 'pushState' : 'replaceState'](null, '', address(name));
  follow();
}

function follow() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const view = views.find((one) => one.name === path) ?? views[0];
  values = new URLSearchParams(query);
  if (!values.get('run') && state.runs.length) {
    // So that the address can be shared as it stands.
    values.set('run', remembered());
    history.replaceState(null, '', address(view.name));
  }
  if (shown?.view === view) {
    tabs(view);
    shown.handle?.update?.();
    return;
  }
  shown?.handle?.unmount?.();
  main.replaceChildren();
  document.title = `${view.title} · Glassbox`;
  main.className = `view-${view.name}`;
  shown = { view, handle: null };
  tabs(view);
  try {
    shown.handle = view.mount(main, state, api) ?? null;
  } catch (error) {
    main.replaceChildren(el('p', { class: 'error' }, `This view stumbled: ${error.message}`));
    throw error;
  }
}

// The run that was looked at last, or the newest.
function remembered() {
  const last = sessionStorage.getItem('run');
  const usable = state.runs.filter((run) => !run.error);
  const newest = usable.toSorted((a, b) => (a.started < b.started ? 1 : -1))[0];
  return usable.some((run) => run.id === last) ? last : newest?.id ?? '';
}

function tabs(view) {
  const links = views.map((one) => el('a', {
    href: state.link(one.name),
    'aria-current': one === view ? 'page' : undefined,
  }, one.title));
  fill(document.getElementById('views'), links);
  document.querySelector('#views [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  const ids = state.runs.map((run) => run.id);
  fill(runPicker, ids.map((id) => el('option', { value: id, selected: id === state.run ? '' : undefined }, id)));
  runPicker.disabled = ids.length === 0;
  runPicker.value = state.run;
  if (state.run) sessionStorage.setItem('run', state.run);
}

runPicker.addEventListener('change', () => {
  const keep = shown?.view.name === 'runs' ? Object.fromEntries(values) : {};
  go(shown?.view.name ?? 'runs', new URLSearchParams({ ...keep, run: runPicker.value }), true);
});

// Light or dark: as the system is, until someone says otherwise.
function theme(next) {
  if (next) localStorage.setItem('theme', next);
  const chosen = localStorage.getItem('theme');
  if (chosen) document.documentElement.dataset.theme = chosen;
  dispatchEvent(new Event('themed'));
}
const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
};
document.getElementById('theme').addEventListener('click', () => theme(isDark() ? 'light' : 'dark'));

// Keys.
const KEYS = [
  ['1 – 9', 'a view'],
  ['r', 'choose a run'],
  ['← →', 'a step back or forth, on the slider'],
  ['[ ]', 'a step back or forth, anywhere'],
  ['d', 'light or dark'],
  ['?', 'this list'],
];
const dialog = document.getElementById('keys');
function help() {
  if (dialog.open) {
    dialog.close();
    return;
  }
  fill(dialog, [
    el('h2', {}, 'Keys'),
    el('dl', {}, KEYS.flatMap(([key, what]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, what)])),
    el('form', { method: 'dialog' }, el('button', {}, 'Close')),
  ]);
  dialog.showModal();
}
document.getElementById('help').addEventListener('click', help);
addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input:not([type=range]):not([type=checkbox]), textarea, select');
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const number = Number(event.key);
  if (number >= 1 && number <= views.length) state.open(views[number - 1].name);
  else if (event.key === 'r') runPicker.focus();
  else if (event.key === 'd') theme(isDark() ? 'light' : 'dark');
  else if (event.key === '?') help();
  else if (event.key === '[' || event.key === ']') {
    dispatchEvent(new CustomEvent('stepped', { detail: event.key === '[' ? -1 : 1 }));
  } else return;
  event.preventDefault();
});

// What the studio is computing, if it takes long enough to be said.
async function watchWork() {
  if (document.hidden || api.open.count === 0) {
    work.hidden = true;
    return;
  }
  const { running, waiting } = await api.get('/api/work').catch(() => ({}));
  if (!running) {
    work.hidden = true;
    return;
  }
  const more = waiting ? `, ${waiting} more to answer` : '';
  const far = running.of ? `: ${running.done.toLocaleString('en')} of ${running.of.toLocaleString('en')} ${running.unit}` : ' …';
  work.textContent = `Recomputing ${running.run}${far}${more}`;
  work.style.setProperty('--share', running.of ? running.done / running.of : 0);
  work.hidden = false;
}
setInterval(watchWork, 400);

// The list of runs, and then the view. It is read again while the page is looked at.
export async function refreshRuns() {
  const listed = await api.get('/api/runs');
  state.runs = listed.runs;
  state.root = listed.root;
}

async function begin() {
  theme();
  if (location.search) history.replaceState(null, '', `/${location.hash}`);
  try {
    await refreshRuns();
  } catch (error) {
    main.replaceChildren(el('p', { class: 'error' }, error.message));
    return;
  }
  addEventListener('hashchange', follow);
  addEventListener('popstate', follow);
  follow();
}
begin();
