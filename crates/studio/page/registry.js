// The views, in the order of their tabs. Each module's default export is { name, title, mount(root, state, api) }; mount may
// return { update(), unmount() }: update is called when the state changed, unmount when another view takes over.

import cells from './views/cells.js';
import confusion from './views/confusion.js';
import graph from './views/graph.js';
import runs from './views/runs.js';
import sample from './views/sample.js';
import teach from './views/teach.js';
import time from './views/time.js';
import attempt from './views/try.js';

export const views = [runs, graph, time, sample, confusion, attempt, cells, teach];
