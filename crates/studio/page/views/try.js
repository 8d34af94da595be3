// Try it: draw a digit or drop a picture, and see every layer at once.

import { el, empty, failure, fill, layersList, panel, probabilities, roomOf, show, stepOf, stepSlider } from '../draw.js';
import { forRun } from '../needs.js';

const PAD = 280;

// What was drawn, as the digits of MNIST were made: scaled into 20 of 28 parts of the square, its centre of mass in the middle.
function centred(context) {
  const { data } = context.getImageData(0, 0, PAD, PAD);
  let [left, top, right, bottom, mass, mx, my] = [PAD, PAD, -1, -1, 0, 0, 0];
  for (let y = 0; y < PAD; y += 1) {
    for (let x = 0; x < PAD; x += 1) {
      const ink = data[(y * PAD + x) * 4];
      if (ink < 32) continue;
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
      mass += ink;
      mx += ink * (x + 0.5);
      my += ink * (y + 0.5);
    }
  }
  if (!mass) return context.canvas;
  const zoom = (PAD * 20) / 28 / Math.max(right - left, bottom - top);
  const made = el('canvas', { width: PAD, height: PAD });
  const out = made.getContext('2d');
  out.fillStyle = '#000';
  out.fillRect(0, 0, PAD, PAD);
  out.translate(PAD / 2, PAD / 2);
  out.scale(zoom, zoom);
  out.drawImage(context.canvas, -mx / mass, -my / mass);
  return made;
}

export default {
  name: 'try',
  title: 'Try it',
  mount: forRun((root, state, api, facts, data) => {
    const { run } = state;
    const pictures = data.shape.length === 3;
    if (!pictures) {
      fill(root, empty('This network takes no pictures, which is what can be tried here; glassbox predict takes what it knows.'));
      return null;
    }
    const draws = data.light_on_dark && data.shape[0] === 1;
    const slider = stepSlider(state, facts);
    const answer = panel('Answer', { least: '300px' });
    const layers = panel('Layer by layer', { wide: true, least: '160px' });
    const canvas = el('canvas', { width: PAD, height: PAD, class: 'pad', tabindex: 0, role: 'img', 'aria-label': 'A pad to draw on; Delete clears it' });
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const centre = el('input', { type: 'checkbox', checked: true, onchange: () => (picture ? read() : null) });
    const preview = el('img', { class: 'preview', alt: 'The picture that was dropped', hidden: true });
    const file = el('input', { type: 'file', accept: 'image/png,image/jpeg', class: 'sr', id: 'file' });
    const drop = el('label', { for: 'file', class: 'drop' }, el('span', {}, 'Drop a picture here, paste one, or choose a file'), el('span', { class: 'soft' }, 'PNG or JPEG, up to 8 MB; it stays on this machine'));
    const input = el('section', { class: 'panel' },
      el('header', {}, el('h2', {}, draws ? 'Draw a digit' : 'A picture of yours')),
      el('div', { class: 'body' },
        draws ? el('div', { class: 'pad-box' }, canvas, el('div', { class: 'pad-tools' },
          el('label', { class: 'check', title: 'Scaled to 20 of 28 pixels and centred by its mass, as the digits of MNIST were' }, centre, 'centre it'),
          el('button', { type: 'button', onclick: () => clear() }, 'Clear'))) : null,
        preview, drop, file));
    root.append(
      el('h1', { class: 'sr' }, `Try ${run}`),
      el('div', { class: 'bar' }, slider.element),
      el('div', { class: 'grid' }, input, answer.element, layers.element));

    let picture = null; // the bytes that are asked about
    let asking = false;
    let again = false;
    let asked = null; // the step that was asked last
    function start() {
      answer.clear(draws ? 'Draw a digit: the network answers with each stroke.' : 'Give it a picture: the network says what it is.');
      layers.clear('Every layer is shown here as soon as there is an input.');
    }
    // One question at a time; what is drawn meanwhile is asked next.
    async function ask() {
      if (!picture) return;
      if (asking) {
        again = true;
        return;
      }
      asking = true;
      const step = stepOf(state, facts);
      asked = step;
      try {
        const found = await api.post('/api/try', { run, step }, picture);
        answer.load(async () => found, () => [
          probabilities(found),
          el('div', { class: 'seen-by' }, found.seen ? el('img', { src: found.seen, alt: 'What the network is fed' }) : null,
            el('p', { class: 'soft' }, `What the network is fed${found.inverted ? ', inverted: it knows light on dark' : ''}; from ${show(found.size[1])} × ${show(found.size[0])} pixels.`)),
        ]);
        layers.load(async () => found, () => layersList(found, roomOf(layers.body)));
      } catch (error) {
        fill(answer.body, failure(error));
      }
      asking = false;
      if (again) {
        again = false;
        ask();
      }
    }

    function clear() {
      context.fillStyle = '#000';
      context.fillRect(0, 0, PAD, PAD);
      picture = null;
      start();
    }
    let last = null;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) * PAD) / box.width, ((event.clientY - box.top) * PAD) / box.height];
    };
    const stroke = (to) => {
      context.strokeStyle = '#fff';
      context.lineWidth = 20;
      context.lineCap = 'round';
      context.lineJoin = 'round';
      context.beginPath();
      context.moveTo(...last);
      context.lineTo(...to);
      context.stroke();
      last = to;
    };
    const read = () => (centre.checked ? centred(context) : canvas).toBlob((blob) => {
      picture = blob;
      preview.hidden = true;
      ask();
    }, 'image/png');
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = at(event);
      stroke(last);
      event.preventDefault();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!last) return;
      stroke(at(event));
      if (!asking) read();
    });
    const lift = () => {
      if (!last) return;
      last = null;
      read();
    };
    canvas.addEventListener('pointerup', lift);
    canvas.addEventListener('pointercancel', lift);
    canvas.addEventListener('keydown', (event) => {
      if (event.key === 'Delete' || event.key === 'Backspace') clear();
    });

    function take(blob) {
      if (!blob) return;
      picture = blob;
      const old = preview.src;
      preview.src = URL.createObjectURL(blob);
      preview.hidden = false;
      if (old) URL.revokeObjectURL(old);
      ask();
    }
    file.addEventListener('change', () => take(file.files[0]));
    const over = (event) => {
      event.preventDefault();
      drop.classList.toggle('over', event.type === 'dragover');
    };
    root.addEventListener('dragover', over);
    root.addEventListener('dragleave', over);
    const dropped = (event) => {
      over(event);
      take(event.dataTransfer.files[0]);
    };
    root.addEventListener('drop', dropped);
    const pasted = (event) => take([...event.clipboardData.files][0]);
    addEventListener('paste', pasted);
    if (draws) clear();
    else start();
    return {
      update() {
        slider.update();
        if (stepOf(state, facts) !== asked) ask();
      },
      unmount() {
        slider.stop();
        answer.stop();
        layers.stop();
        root.removeEventListener('dragover', over);
        root.removeEventListener('dragleave', over);
        root.removeEventListener('drop', dropped);
        removeEventListener('paste', pasted);
      },
    };
  }),
};
