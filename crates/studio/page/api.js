// Asking the studio. An answer is kept as long as the page lives if it says how it was verified: it cannot change.

const kept = new Map();
const MOST_KEPT = 200;

// Questions that have no answer yet; the body says that it is busy as long as there are any.
export const open = { count: 0 };

function asking(more) {
  open.count += more;
  document.body.setAttribute('aria-busy', String(open.count > 0));
}

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

function address(path, values) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== '') query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function once(url, options) {
  let response;
  asking(1);
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, 'The studio does not answer. Is glassbox open still running?');
  } finally {
    asking(-1);
  }
  if (response.status === 403) {
    throw new Refused(403, 'The studio was started anew: open the address that it printed.');
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error ?? `The studio answered ${response.status}.`);
  return { status: response.status, body };
}

// The answer to GET path?values. What is recomputed for long says so, and is asked for again until it is there.
export async function get(path, values = {}, { signal } = {}) {
  const url = address(path, values);
  const found = kept.get(url);
  if (found) {
    kept.delete(url);
    kept.set(url, found);
    return found;
  }
  for (;;) {
    const { status, body } = await once(url, { signal });
    if (status === 202) continue;
    if (body.proof) {
      kept.set(url, body);
      if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
    }
    return body;
  }
}

// The answer about an input of one's own.
export async function post(path, values, bytes, { signal } = {}) {
  for (;;) {
    const { status, body } = await once(address(path, values), { method: 'POST', body: bytes, signal });
    if (status !== 202) return body;
  }
}

// The address of a picture.
export const picture = (path, values) => address(path, values);

// The numbers of a tensor.
export function numbers(tensor) {
  if (tensor.f32 === undefined) return Float32Array.from(tensor.numbers ?? [], Number);
  const text = atob(tensor.f32);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return new Float32Array(bytes.buffer);
}
