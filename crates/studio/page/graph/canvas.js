// A graph on a canvas: thousands of boxes that can be dragged, zoomed, picked and walked through by keys. What is drawn of a
// box depends on how large it appears; what lies outside is not drawn. The places come from the server.

const CELL = 600;
const LEAST = 0.02;
const MOST = 4;
const TITLE_FROM = 0.34;
const SHAPE_FROM = 0.62;
const FRAME_FROM = 0.12;

// Makes a canvas in `root`. `on.pick(box)` when a box is chosen (or null), `on.open(box)` when it is opened or closed.
export function graphCanvas(root, on) {
  const canvas = document.createElement('canvas');
  canvas.tabIndex = 0;
  canvas.setAttribute('role', 'application');
  canvas.setAttribute('aria-label', 'Graph. Arrow keys walk along it, Enter opens or closes a layer, plus and minus zoom, 0 shows all.');
  root.append(canvas);
  const tip = document.createElement('div');
  tip.className = 'graph-tip';
  tip.hidden = true;
  root.append(tip);
  const context = canvas.getContext('2d');

  let drawing = { boxes: [], arrows: [], size: [0, 0] };
  let places = new Map(); // id -> index
  let cells = new Map(); // "column,row" -> indices
  let out = []; // arrows from each box
  let into = []; // arrows to each box
  let labels = []; // where layers lie, for far away
  let frames = []; // what of an opened layer is drawn, framed; outer ones first
  let lit = null; // set of indices, or null
  let heat = null; // share of 1 for each box, or null
  let chosen = -1;
  let hovered = -1;
  let camera = { x: 0, y: 0, k: 1 };
  let asked = 0;
  let colours = {};
  const short = new Map();

  const draw = () => {
    if (!asked) asked = requestAnimationFrame(paint);
  };

  function size() {
    const box = canvas.getBoundingClientRect();
    return [Math.max(box.width, 1), Math.max(box.height, 1)];
  }

  function fitCanvas() {
    const [width, height] = size();
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    return [width, height, scale];
  }

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    colours = {
      ground: of('--ground'), raised: of('--raised'), line: of('--line'), ink: of('--ink'), soft: of('--soft'),
      faint: of('--faint'), accent: of('--accent'), forward: of('--c0'), backward: of('--c1'), update: of('--c2'),
      hot: of('--plus'),
    };
  }

  // The boxes that may be seen in a part of the plane.
  function within(left, top, right, bottom) {
    const first = [Math.floor(left / CELL), Math.floor(top / CELL)];
    const last = [Math.floor(right / CELL), Math.floor(bottom / CELL)];
    if ((last[0] - first[0] + 1) * (last[1] - first[1] + 1) > cells.size) return drawing.boxes.map((_, at) => at);
    const found = new Set();
    for (let column = first[0]; column <= last[0]; column += 1) {
      for (let row = first[1]; row <= last[1]; row += 1) {
        for (const at of cells.get(`${column},${row}`) ?? []) found.add(at);
      }
    }
    return [...found];
  }

  function trace(arrow) {
    const { from, to, points } = arrow;
    context.moveTo(points[0], points[1]);
    if (arrow.far) {
      // Between lanes: a curve that leaves and arrives sideways.
      const [x1, y1, x2, y2] = [points[0], points[1], points.at(-2), points.at(-1)];
      const bend = Math.max(Math.abs(x2 - x1) / 2, 30);
      context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2, y2);
      return;
    }
    if (from === to) return;
    for (let at = 2; at < points.length; at += 2) {
      const [x0, y0, x1, y1] = [points[at - 2], points[at - 1], points[at], points[at + 1]];
      const middle = (y0 + y1) / 2;
      if (camera.k < 0.12 || x0 === x1) context.lineTo(x1, y1);
      else context.bezierCurveTo(x0, middle, x1, middle, x1, y1);
    }
  }

  function head(arrow) {
    const { points, far } = arrow;
    const [x, y] = [points.at(-2), points.at(-1)];
    const down = points.at(-1) > points.at(-3);
    const size = 4;
    context.moveTo(x, y);
    if (far) {
      context.lineTo(x - size * 1.6, y - size);
      context.lineTo(x - size * 1.6, y + size);
    } else {
      const back = down ? -size * 1.6 : size * 1.6;
      context.lineTo(x - size, y + back);
      context.lineTo(x + size, y + back);
    }
    context.closePath();
  }

  function paint() {
    asked = 0;
    const [width, height, scale] = fitCanvas();
    const { x, y, k } = camera;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, width, height);
    context.translate(width / 2, height / 2);
    context.scale(k, k);
    context.translate(-x, -y);
    const view = [x - width / 2 / k, y - height / 2 / k, x + width / 2 / k, y + height / 2 / k];
    const seen = (arrow) => arrow.left <= view[2] && arrow.right >= view[0] && arrow.top <= view[3] && arrow.bottom >= view[1];

    if (k >= FRAME_FROM) for (const one of frames) if (seen(one)) around(one, k);

    const near = chosen >= 0 || hovered >= 0;
    const touches = (arrow) => arrow.from === chosen || arrow.to === chosen || arrow.from === hovered || arrow.to === hovered;
    context.lineWidth = Math.max(1, 0.6 / k);
    context.strokeStyle = colours.faint;
    for (const far of [false, true]) {
      context.globalAlpha = far ? 0.13 : lit || near ? 0.45 : 0.75;
      context.beginPath();
      for (const arrow of drawing.arrows) if (arrow.far === far && seen(arrow)) trace(arrow);
      context.stroke();
    }
    context.globalAlpha = 1;
    if (k > 0.3) {
      context.fillStyle = colours.faint;
      context.beginPath();
      for (const arrow of drawing.arrows) if (!arrow.far && seen(arrow)) head(arrow);
      context.fill();
    }
    if (near) {
      context.lineWidth = Math.max(1.6, 1.2 / k);
      for (const arrow of drawing.arrows) {
        if (!touches(arrow) || !seen(arrow)) continue;
        const leads = arrow.from === chosen || (arrow.to !== chosen && arrow.from === hovered);
        context.strokeStyle = leads ? colours.backward : colours.accent;
        context.fillStyle = context.strokeStyle;
        context.beginPath();
        trace(arrow);
        context.stroke();
        context.beginPath();
        head(arrow);
        context.fill();
      }
    }

    const shown = within(...view);
    if (k < TITLE_FROM && !heat) fromAfar(shown, k);
    else for (const at of shown) box(at, k);
    if (k < TITLE_FROM) names(width, height, scale);
  }

  // The frame of an opened layer: what is in it and the arrows between, drawn wide, so that nothing else is within.
  function around({ phase, text, members, inner, room, x, y }, k) {
    const ground = colours.ground;
    for (const [more, share] of [[room, 45], [room - 1.2 / Math.max(k, 0.5), 9]]) {
      context.fillStyle = `color-mix(in srgb, ${colours[phase]} ${share}%, ${ground})`;
      context.strokeStyle = context.fillStyle;
      context.lineWidth = 2 * more;
      context.lineJoin = 'round';
      context.beginPath();
      for (const at of inner) trace(drawing.arrows[at]);
      context.stroke();
      context.beginPath();
      for (const at of members) {
        const one = drawing.boxes[at];
        context.roundRect(one.x - one.w / 2 - more, one.y - one.h / 2 - more, one.w + 2 * more, one.h + 2 * more, 5 + more);
      }
      context.fill();
    }
    if (k < TITLE_FROM) return;
    context.font = '600 11px system-ui, sans-serif';
    context.textAlign = 'left';
    context.textBaseline = 'bottom';
    context.fillStyle = colours.soft;
    context.fillText(text, x, y - 2);
  }

  const isDim = (at) => Boolean(lit) && !lit.has(at) && at !== chosen;
  const isLeaf = ({ kind }) => kind === 'leaf' || kind === 'number';

  // Boxes without words: all of one colour in one go.
  function fromAfar(shown, k) {
    const paths = new Map();
    for (const at of shown) {
      const one = drawing.boxes[at];
      const alpha = (isLeaf(one) ? 0.45 : 0.8) * (isDim(at) ? 0.3 : 1);
      const key = `${one.p} ${alpha}`;
      if (!paths.has(key)) paths.set(key, { colour: colours[one.p], alpha, path: new Path2D() });
      const { path } = paths.get(key);
      if (k < 0.2) path.rect(one.x - one.w / 2, one.y - one.h / 2, one.w, one.h);
      else path.roundRect(one.x - one.w / 2, one.y - one.h / 2, one.w, one.h, isLeaf(one) ? one.h / 2 : 5);
    }
    for (const { colour, alpha, path } of paths.values()) {
      context.globalAlpha = alpha;
      context.fillStyle = colour;
      context.fill(path);
    }
    context.globalAlpha = 1;
    for (const at of shown) frame(at, k);
  }

  // What is chosen, lit or pointed at.
  function frame(at, k) {
    const marked = at === chosen || lit?.has(at);
    if (!marked && at !== hovered) return;
    const { x, y, w, h, ...one } = drawing.boxes[at];
    context.beginPath();
    context.roundRect(x - w / 2 - 3, y - h / 2 - 3, w + 6, h + 6, (isLeaf(one) ? h / 2 : 5) + 3);
    context.lineWidth = Math.max(at === chosen ? 3 : 2, 2 / k);
    context.strokeStyle = marked ? colours.accent : colours.soft;
    context.stroke();
  }

  function box(at, k) {
    const one = drawing.boxes[at];
    const { x, y, w, h, p, kind, t, s } = one;
    const [left, top] = [x - w / 2, y - h / 2];
    const alpha = isDim(at) ? 0.3 : 1;
    const round = isLeaf(one) ? h / 2 : 5;
    context.globalAlpha = alpha;
    context.beginPath();
    context.roundRect(left, top, w, h, round);
    context.fillStyle = colours.raised;
    context.fill();
    if (heat?.[at] > 0) {
      context.fillStyle = `rgb(${colours.hot} / ${(0.08 + 0.82 * heat[at]).toFixed(3)})`;
      context.fill();
    }
    context.lineWidth = kind === 'group' ? 1.6 : 1;
    context.strokeStyle = colours[p];
    if (kind === 'view') context.setLineDash([4, 3]);
    context.stroke();
    context.setLineDash([]);
    if (kind === 'group') {
      // A second edge behind it: there is more inside.
      context.beginPath();
      context.roundRect(left + 4, top + 4, w, h, round);
      context.globalAlpha = alpha * 0.35;
      context.stroke();
      context.globalAlpha = alpha;
    }
    frame(at, k);
    if (k < TITLE_FROM) return;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillStyle = colours.ink;
    context.font = `${kind === 'group' ? 600 : 500} 13px system-ui, sans-serif`;
    const both = s && k >= SHAPE_FROM;
    context.fillText(fit(t, w - 12), x, both ? y - 7.5 : y);
    if (both) {
      context.font = '11px system-ui, sans-serif';
      context.fillStyle = colours.soft;
      context.fillText(fit(s, w - 10), x, y + 8.5);
    }
    context.globalAlpha = 1;
  }

  // A text cut to a width.
  function fit(text, width) {
    const key = `${context.font} ${width} ${text}`;
    const known = short.get(key);
    if (known !== undefined) return known;
    let cut = text;
    if (context.measureText(cut).width > width) {
      let [least, most] = [1, text.length];
      while (least < most) {
        const middle = (least + most + 1) >> 1;
        if (context.measureText(`${text.slice(0, middle)}…`).width <= width) least = middle;
        else most = middle - 1;
      }
      cut = `${text.slice(0, least)}…`;
    }
    if (short.size > 20000) short.clear();
    short.set(key, cut);
    return cut;
  }

  // From afar, the names of the layers instead of those of the boxes.
  function names(width, height, scale) {
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.font = '600 12px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    const taken = [];
    for (const { text, x, y } of labels) {
      const [sx, sy] = [(x - camera.x) * camera.k + width / 2, (y - camera.y) * camera.k + height / 2];
      const half = context.measureText(text).width / 2 + 5;
      if (sx + half < 0 || sx - half > width || sy < 0 || sy > height) continue;
      if (taken.some(([left, top, right]) => sx + half > left && sx - half < right && Math.abs(sy - top) < 19)) continue;
      taken.push([sx - half, sy, sx + half]);
      context.globalAlpha = 0.82;
      context.fillStyle = colours.ground;
      context.beginPath();
      context.roundRect(sx - half, sy - 9, half * 2, 18, 4);
      context.fill();
      context.globalAlpha = 1;
      context.fillStyle = colours.ink;
      context.fillText(text, sx, sy);
    }
  }

  // ---- What is shown.

  // `framesOf(box)` names the opened layers that a box lies in, the outermost first.
  function set(next, { keep, framesOf = () => [] } = {}) {
    const before = keep !== undefined ? drawing.boxes[places.get(keep)] : undefined;
    const all = next.boxes.map((one) => ({ ...one, kind: one.k }));
    places = new Map(all.map((one, at) => [one.id, at]));
    out = all.map(() => []);
    into = all.map(() => []);
    const arrows = next.arrows.map(([from, to, bends], at) => {
      const [a, b] = [all[from], all[to]];
      const far = a.p !== b.p;
      out[from].push(at);
      into[to].push(at);
      const right = a.x < b.x;
      const start = far ? [a.x + (right ? a.w : -a.w) / 2, a.y] : [a.x, a.y + (b.y >= a.y ? a.h : -a.h) / 2];
      const end = far ? [b.x + (right ? -b.w : b.w) / 2, b.y] : [b.x, b.y + (b.y >= a.y ? -b.h : b.h) / 2];
      const points = Float32Array.from([...start, ...bends, ...end]);
      const arrow = { from, to, far, points, left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
      for (let i = 0; i < points.length; i += 2) {
        arrow.left = Math.min(arrow.left, points[i]);
        arrow.right = Math.max(arrow.right, points[i]);
        arrow.top = Math.min(arrow.top, points[i + 1]);
        arrow.bottom = Math.max(arrow.bottom, points[i + 1]);
      }
      return arrow;
    });
    cells = new Map();
    all.forEach((one, at) => {
      for (let column = Math.floor((one.x - one.w / 2) / CELL); column <= Math.floor((one.x + one.w / 2) / CELL); column += 1) {
        for (let row = Math.floor((one.y - one.h / 2) / CELL); row <= Math.floor((one.y + one.h / 2) / CELL); row += 1) {
          const key = `${column},${row}`;
          if (!cells.has(key)) cells.set(key, []);
          cells.get(key).push(at);
        }
      }
    });
    drawing = { boxes: all, arrows, size: next.size };
    labels = layerNames(all);
    frames = framesAround(framesOf);
    lit = null;
    heat = null;
    chosen = -1;
    hovered = -1;
    const after = keep !== undefined ? near(keep, before) : undefined;
    if (before && after) {
      // What was opened stays where it was.
      camera = { ...camera, x: camera.x + after.x - before.x, y: camera.y + after.y - before.y };
    } else {
      showAll();
    }
    draw();
  }

  // The box that stands for what `id` stood for.
  function near(id, before) {
    const same = drawing.boxes[places.get(id)];
    if (same || !before) return same;
    return drawing.boxes.find((one) => one.p === before.p && (one.l === before.l || one.l.startsWith(`${before.l}/`) || before.l.startsWith(`${one.l}/`)));
  }

  function framesAround(framesOf) {
    const found = new Map();
    drawing.boxes.forEach((one, at) => framesOf(one).forEach((text, depth) => {
      const key = `${one.p} ${text}`;
      if (!found.has(key)) found.set(key, { phase: one.p, text, depth, members: [] });
      found.get(key).members.push(at);
    }));
    // A single box needs no frame.
    const all = [...found.values()].filter(({ members }) => members.length > 1);
    const deepest = Math.max(0, ...all.map(({ depth }) => depth));
    return all.toSorted((a, b) => a.depth - b.depth).map((one) => {
      const room = 6 + 5 * (deepest - one.depth);
      const within = new Set(one.members);
      const inner = one.members.flatMap((at) => out[at].filter((arrow) => within.has(drawing.arrows[arrow].to)));
      const boxes = one.members.map((at) => drawing.boxes[at]);
      const top = boxes.reduce((a, b) => (b.y - b.h / 2 < a.y - a.h / 2 ? b : a));
      const side = (of, pick) => pick(...boxes.map(of), ...inner.map((at) => drawing.arrows[at]).map(of));
      return {
        ...one, room, inner, x: top.x - top.w / 2 - room + 2, y: top.y - top.h / 2 - room,
        left: side((it) => it.left ?? it.x - it.w / 2, Math.min) - room, right: side((it) => it.right ?? it.x + it.w / 2, Math.max) + room,
        top: side((it) => it.top ?? it.y - it.h / 2, Math.min) - room - 16, bottom: side((it) => it.bottom ?? it.y + it.h / 2, Math.max) + room,
      };
    });
  }

  function layerNames(all) {
    const spans = new Map();
    for (const { p, l, x, y } of all) {
      const key = `${p} ${l}`;
      const span = spans.get(key) ?? { text: l, x: 0, y: 0, count: 0 };
      span.x += x;
      span.y += y;
      span.count += 1;
      spans.set(key, span);
    }
    const means = [...spans.values()].map(({ text, x, y, count }) => ({ text, x: x / count, y: y / count, count }));
    return means.sort((a, b) => b.count - a.count);
  }

  function showAll() {
    const [width, height] = size();
    const [w, h] = drawing.size;
    const whole = Math.min(width / (w + 60), height / (h + 60));
    const k = Math.min(Math.max(whole, LEAST), 1.1);
    camera = { x: w / 2, y: h / 2, k };
    // A graph that would be too small to read begins at its top.
    if (whole < 0.3 && width / (w + 40) > 0.3) camera = { x: w / 2, y: height / 2 / 0.4 - 30, k: Math.min(width / (w + 40), 0.6) };
    if (camera.k !== k) camera.y = height / 2 / camera.k - 30;
    draw();
  }

  function show(at, k) {
    const one = drawing.boxes[at];
    if (!one) return;
    camera = { x: one.x, y: one.y, k: Math.max(camera.k, k ?? 0.7) };
    draw();
  }

  function ensureSeen(at) {
    const one = drawing.boxes[at];
    const [width, height] = size();
    const [sx, sy] = [(one.x - camera.x) * camera.k, (one.y - camera.y) * camera.k];
    if (Math.abs(sx) > width / 2 - 60 || Math.abs(sy) > height / 2 - 40 || camera.k < TITLE_FROM) show(at);
  }

  // ---- Pointer and keys.

  const pointers = new Map();
  let moved = 0;
  let pinch = 0;

  function world(event) {
    const rect = canvas.getBoundingClientRect();
    const [width, height] = size();
    return [
      (event.clientX - rect.left - width / 2) / camera.k + camera.x,
      (event.clientY - rect.top - height / 2) / camera.k + camera.y,
    ];
  }

  function at([x, y]) {
    const slack = 4 / camera.k;
    const inside = (one) => Math.abs(one.x - x) <= one.w / 2 + slack && Math.abs(one.y - y) <= one.h / 2 + slack;
    return within(x - slack, y - slack, x + slack, y + slack).find((index) => inside(drawing.boxes[index])) ?? -1;
  }

  function zoom(factor, event) {
    const k = Math.min(Math.max(camera.k * factor, LEAST), MOST);
    const [x, y] = event ? world(event) : [camera.x, camera.y];
    camera = { x: x + (camera.x - x) * (camera.k / k), y: y + (camera.y - y) * (camera.k / k), k };
    draw();
  }

  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    moved = 0;
    pinch = 0;
  });
  canvas.addEventListener('pointermove', (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) {
      hover(at(world(event)), event);
      return;
    }
    if (pointers.size === 1) {
      const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
      moved += Math.abs(dx) + Math.abs(dy);
      camera = { ...camera, x: camera.x - dx / camera.k, y: camera.y - dy / camera.k };
      if (moved > 4) draw();
    }
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()];
      const apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      const middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
      if (pinch > 0) zoom(apart / pinch, middle);
      pinch = apart;
      moved = 99;
    }
  });
  const release = (event) => {
    const was = pointers.delete(event.pointerId);
    if (was && event.type === 'pointerup' && moved <= 4) pick(at(world(event)));
  };
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('pointerleave', () => hover(-1));
  canvas.addEventListener('dblclick', (event) => {
    const found = at(world(event));
    if (found >= 0) on.open(drawing.boxes[found]);
  });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event);
  }, { passive: false });

  function hover(index, event) {
    if (index !== hovered) {
      hovered = index;
      canvas.classList.toggle('over', index >= 0);
      draw();
    }
    const one = drawing.boxes[index];
    tip.hidden = !one || camera.k >= SHAPE_FROM;
    if (one && event) {
      const rect = root.getBoundingClientRect();
      tip.textContent = `${one.l}: ${one.t}  ${one.s}`;
      tip.style.left = `${event.clientX - rect.left + 12}px`;
      tip.style.top = `${event.clientY - rect.top + 12}px`;
    }
  }

  function pick(index) {
    chosen = index;
    draw();
    on.pick(drawing.boxes[index] ?? null);
  }

  // The box that an arrow key leads to.
  function step(key) {
    const one = drawing.boxes[chosen];
    if (!one) return drawing.boxes.length ? 0 : -1;
    const ends = [...out[chosen].map((arrow) => drawing.arrows[arrow].to), ...into[chosen].map((arrow) => drawing.arrows[arrow].from)];
    const level = drawing.boxes.map((_, index) => index).filter((index) => index !== chosen && Math.abs(drawing.boxes[index].y - one.y) < 30);
    const candidates = key === 'ArrowUp' || key === 'ArrowDown' ? ends : level;
    const side = (index) => {
      const other = drawing.boxes[index];
      if (key === 'ArrowUp') return one.y - other.y;
      if (key === 'ArrowDown') return other.y - one.y;
      return key === 'ArrowLeft' ? one.x - other.x : other.x - one.x;
    };
    const far = (index) => Math.hypot(drawing.boxes[index].x - one.x, drawing.boxes[index].y - one.y);
    const ahead = candidates.filter((index) => side(index) > 1).sort((a, b) => far(a) - far(b));
    return ahead[0] ?? chosen;
  }

  canvas.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith('Arrow')) {
      const next = step(event.key);
      if (next >= 0) {
        pick(next);
        ensureSeen(next);
      }
    } else if (event.key === 'Enter' && chosen >= 0) on.open(drawing.boxes[chosen]);
    else if (event.key === '+' || event.key === '=') zoom(1.25);
    else if (event.key === '-') zoom(0.8);
    else if (event.key === '0') showAll();
    else if (event.key === 'Escape') pick(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const themed = () => {
    readColours();
    draw();
  };
  const resized = new ResizeObserver(draw);
  resized.observe(canvas);
  addEventListener('themed', themed);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', themed);
  readColours();

  return {
    set,
    showAll,
    zoom,
    choose(id, { see = false } = {}) {
      chosen = places.get(id) ?? -1;
      if (see && chosen >= 0) ensureSeen(chosen);
      draw();
      return drawing.boxes[chosen] ?? null;
    },
    // The boxes that hold some nodes light up; null: none does.
    light(nodes, { see = false } = {}) {
      if (nodes === null) lit = null;
      else {
        const wanted = new Set(nodes);
        lit = new Set();
        drawing.boxes.forEach((one, index) => {
          if (one.n.some((node) => wanted.has(node))) lit.add(index);
        });
        const [first] = lit;
        if (see && first !== undefined) ensureSeen(first);
      }
      draw();
      return lit?.size ?? 0;
    },
    // Colours boxes by a figure each.
    warm(figures) {
      const most = figures ? Math.max(...figures, 1e-12) : 0;
      heat = figures ? figures.map((figure) => figure / most) : null;
      draw();
    },
    get boxes() {
      return drawing.boxes;
    },
    // The box that holds a node, if one is drawn.
    holder: (node) => drawing.boxes.find((one) => one.n.includes(node)) ?? null,
    // For whoever measures: how long one full picture takes.
    paint() {
      const from = performance.now();
      paint();
      return performance.now() - from;
    },
    // Where a box appears on the screen, for whoever clicks without hands.
    where(id) {
      const one = drawing.boxes[places.get(id)];
      const rect = canvas.getBoundingClientRect();
      const [width, height] = size();
      return one && [(one.x - camera.x) * camera.k + width / 2 + rect.left, (one.y - camera.y) * camera.k + height / 2 + rect.top];
    },
    close() {
      cancelAnimationFrame(asked);
      resized.disconnect();
      removeEventListener('themed', themed);
      dark.removeEventListener('change', themed);
    },
  };
}
