// Runs: which there are, how far they came, and their curves over each other.

import { el, fill } from '../draw.js';

export default {
  name: 'runs',
  title: 'Runs',
  mount(root, state) {
    const list = el('ul', {});
    root.append(el('h1', {}, 'Runs'), list);
    const update = () => fill(list, state.runs.map((run) => el('li', {}, `${run.id}: ${run.status}, step ${run.step}`)));
    update();
    return { update };
  },
};
