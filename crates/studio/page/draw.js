// Small things that every view draws with: elements, numbers, tensors on canvas, charts, the mark of proof.

const SVG = 'http://www.w3.org/2000/svg';

function build(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'style') Object.entries(value).forEach(([key, one]) => made.style.setProperty(key, one));
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return made;
}

// An element; attributes that begin with `on` are listeners, `style` is an object.
export const el = (name, attributes = {}, ...children) => build(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => build(document.createElementNS(SVG, name), attributes, children);

export function fill(parent, children) {
  parent.replaceChildren(...[children].flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
}
