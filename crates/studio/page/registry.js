// The views, in the order of their tabs. Each module's default export is { name, title, mount(root, state, api) }; mount may
// return { update(), unmount() }: update is called when the state changed, unmount when another view takes over.

import runs from './views/runs.js';
import graph from './views/graph.js';
import teach from './views/teach.js';

export const views = [runs, graph, teach];
