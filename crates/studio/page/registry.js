// The views, in the order of their tabs. Each module's default export is { name, title, mount(root, state, api) }; mount may
// return { update(), unmount() }: update is called when the state changed, unmount when another view takes over.

import confusion from './views/confusion.js';
import runs from './views/runs.js';
import sample from './views/sample.js';
import time from './views/time.js';
import attempt from './views/try.js';

export const views = [runs, time, sample, confusion, attempt];
