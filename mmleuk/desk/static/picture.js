// The field with its boxes on a canvas: zoom, choose a box, correct it, and draw one for a new cell or a region.
// Only what is in view is drawn, at most once per frame, so a field may have tens of thousands of cells.

import { Field } from './field.js';
import { MIN_SIDE, grip, moved, resized, within } from './box.js';

const LABELS = 60;      // more cells in view than this: only the current one and that below the pointer have a label
const SMALL_PX = 14;    // boxes that look smaller have neither halo nor dashes
const GRIP_PX = 24;     // boxes that look smaller can't be moved by the pointer
const SLACK_PX = 4;     // a press that moves less is a click

export class Picture {
  // on: chosen(cell id), boxed(box of the current cell), look(cell) -> { box, name, sign, style, quiet, noCell }
  constructor(canvas, on) {
    Object.assign(this, { canvas, on, view: null, tool: null, cells: [], regions: [], current: null, hovered: null, held: null });
    this.context = canvas.getContext('2d');
    this.field = null, this.pixels = new Field(() => this.draw());
    canvas.addEventListener('wheel', event => { event.preventDefault(); this.zoom(event.deltaY < 0 ? 0.8 : 1.25, this.at(event)); });
    canvas.addEventListener('pointerdown', event => this.press(event));
    canvas.addEventListener('pointermove', event => this.move(event));
    canvas.addEventListener('pointerup', event => this.release(event));
    canvas.addEventListener('pointercancel', () => { this.held = null; });
    canvas.addEventListener('pointerleave', () => { this.hovered = null; this.draw(); });
    new ResizeObserver(() => this.field && this.draw()).observe(canvas);
  }

  open(field) {
    if (this.field?.look === field.look) return;
    this.field = field;
    this.pixels.open(field);
    this.fit();
  }

  fit() { this.view = [0, 0, this.field.width, this.field.height]; this.draw(); }

  // Show a box with much around it.
  approach(box) {
    const side = Math.max(box[2] - box[0], box[3] - box[1], 8) * 5;
    this.view = [(box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2, side, side];
    this.draw();
  }

  // Move, without zooming, until a box can be seen.
  reveal(box) {
    const [x, y, width, height] = this.view;
    const seen = box[0] >= x && box[1] >= y && box[2] <= x + width && box[3] <= y + height;
    if (!seen) this.view = [(box[0] + box[2] - width) / 2, (box[1] + box[3] - height) / 2, width, height];
    this.draw();
  }

  zoom(factor, centre) {
    const [x, y, width, height] = this.view;
    const [px, py] = centre ?? [x + width / 2, y + height / 2];
    const most = Math.max(this.field.width, this.field.height) * 1.5;
    const scale = Math.min(Math.max(factor, 12 / width), most / Math.max(width, height));
    this.view = [px - (px - x) * scale, py - (py - y) * scale, width * scale, height * scale];
    this.draw();
  }

  // Where the view lies on the canvas: in its middle. Scale is in screen pixels per image pixel.
  get frame() {
    const { clientWidth: width, clientHeight: height } = this.canvas, [x, y, w, h] = this.view;
    const scale = Math.min(width / w, height / h) || 1;
    return { scale, left: (width - w * scale) / 2 - x * scale, top: (height - h * scale) / 2 - y * scale };
  }

  // Image pixels per pixel of the screen.
  get unit() { return 1 / this.frame.scale; }

  // Pixels of the image below a pointer.
  at(event) {
    const corner = this.canvas.getBoundingClientRect(), { scale, left, top } = this.frame;
    return [(event.clientX - corner.left - left) / scale, (event.clientY - corner.top - top) / scale];
  }

  // Begin to draw a box; it starts in the middle of the view, or as most of it.
  begin(kind, share) {
    const [x, y, width, height] = this.cut(this.view);
    const side = kind === 'cell' ? this.usualSide(width, height) : null;
    const [w, h] = side ? [side, side] : [width * share, height * share];
    this.tool = [x + (width - w) / 2, y + (height - h) / 2, x + (width + w) / 2, y + (height + h) / 2];
    this.draw();
  }

  // The median side of the cells here, else a tenth of the view.
  usualSide(width, height) {
    const sides = this.cells.map(cell => Math.max(cell.box[2] - cell.box[0], cell.box[3] - cell.box[1])).sort((a, b) => a - b);
    return sides.length ? sides[sides.length >> 1] : Math.min(width, height) / 10;
  }

  cut([x, y, width, height]) {
    const left = Math.max(x, 0), top = Math.max(y, 0);
    return [left, top, Math.max(Math.min(x + width, this.field.width) - left, 4),
      Math.max(Math.min(y + height, this.field.height) - top, 4)];
  }

  // Move the drawn box by pixels, or change its size, and keep it within the image.
  shift(dx, dy, grow = 0) {
    const [x1, y1, x2, y2] = this.tool;
    const width = Math.max(x2 - x1 + 2 * grow, MIN_SIDE), height = Math.max(y2 - y1 + 2 * grow, MIN_SIDE);
    const x = (x1 + x2 - width) / 2, y = (y1 + y2 - height) / 2;
    this.tool = moved([x, y, x + width, y + height], dx, dy, this.field);
    this.draw();
  }

  end() { this.tool = null; this.held = null; this.draw(); }

  press(event) {
    const box = this.tool || !this.current ? null : this.on.look(this.current).box;
    const sides = box && grip(box, this.at(event), this.unit, GRIP_PX, event.pointerType === 'touch' ? 18 : 8);
    this.held = { from: this.at(event), view: [...this.view], client: [event.clientX, event.clientY], box, sides, moving: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    const held = this.held;
    if (!held) return this.hover(event);
    const dx = event.clientX - held.client[0], dy = event.clientY - held.client[1];
    held.moving ||= Math.hypot(dx, dy) >= SLACK_PX;
    if (!held.moving) return;
    const unit = this.unit;
    if (this.tool) {
      const drawnBox = within([...held.from, ...this.at(event)], this.field);
      if (drawnBox[2] - drawnBox[0] > 2 && drawnBox[3] - drawnBox[1] > 2) { this.tool = drawnBox; this.draw(); }
    } else if (held.sides) {
      const change = held.sides.inside ? moved : resized;
      this.on.boxed(change(held.box, dx * unit, dy * unit, this.field, held.sides));
    } else {
      this.view = [held.view[0] - dx * unit, held.view[1] - dy * unit, held.view[2], held.view[3]];
      this.draw();
    }
  }

  release(event) {
    const clicked = this.held && !this.held.moving && !this.tool;
    this.held = null;
    const cell = clicked ? this.cellAt(this.at(event)) : null;
    if (cell && cell.id !== this.current?.id) this.on.chosen(cell.id);
  }

  hover(event) {
    const box = this.tool || !this.current ? null : this.on.look(this.current).box;
    const sides = box && grip(box, this.at(event), this.unit, GRIP_PX, 8), found = this.tool ? null : this.cellAt(this.at(event));
    this.canvas.style.cursor = this.tool ? 'crosshair' : sides ? sides.cursor : found ? 'pointer' : 'grab';
    if (found !== this.hovered) { this.hovered = found; this.draw(); }
  }

  // The smallest box around a point; a pixel of the screen beside it counts, too.
  cellAt([x, y]) {
    const slack = 2 * this.unit;
    let found = null, least = Infinity;
    for (const cell of this.cells) {
      const [x1, y1, x2, y2] = this.on.look(cell).box, area = (x2 - x1) * (y2 - y1);
      if (x >= x1 - slack && x <= x2 + slack && y >= y1 - slack && y <= y2 + slack && area < least) { found = cell; least = area; }
    }
    return found;
  }

  // Draw at the next frame, once.
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; if (this.field) this.paint(); });
  }

  paint() {
    const { canvas, context } = this, ratio = window.devicePixelRatio || 1, frame = this.frame;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = '#777';
    context.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    const { scale, left, top } = frame;
    this.pixels.paint(context, frame, this.cut([-left / scale, -top / scale, canvas.clientWidth / scale, canvas.clientHeight / scale]), ratio);
    const seen = this.inView(frame), labelled = seen.length <= LABELS;
    for (const region of this.regions) this.outline(region.box, frame, [['#fff', 3, []], ['#000', 3, [2, 5]]]);
    for (const quiet of [true, false]) for (const one of seen) if (one.quiet === quiet) this.mark(one);
    if (labelled) for (const one of seen) if (!one.quiet) this.label(one, 12);
    if (this.hovered) this.label(this.onScreen(this.hovered, frame), 13);
    if (this.current) this.markCurrent(this.onScreen(this.current, frame));
    if (this.tool) this.outline(this.tool, frame, [['#fff', 5, []], ['#000', 3, []]], '#fff3');
  }

  onScreen(cell, { scale, left, top }) {
    const look = this.on.look(cell), [x1, y1, x2, y2] = look.box;
    return { ...look, x: x1 * scale + left, y: y1 * scale + top, width: (x2 - x1) * scale, height: (y2 - y1) * scale };
  }

  inView(frame) {
    const { clientWidth, clientHeight } = this.canvas, seen = [];
    for (const cell of this.cells) {
      if (cell.id === this.current?.id) continue;
      const one = this.onScreen(cell, frame);
      if (one.x <= clientWidth && one.y <= clientHeight && one.x + one.width >= 0 && one.y + one.height >= 0) seen.push(one);
    }
    return seen;
  }

  mark({ x, y, width, height, style, quiet, noCell }) {
    const { context } = this, small = Math.max(width, height) < SMALL_PX;
    if (!quiet && !small) this.stroke('#ffffffa6', 5, [], x, y, width, height);
    this.stroke(style.colour, quiet || small ? 1 : 2, style.dashed && !small ? [7, 4] : [], x, y, width, height);
    if (!noCell) return;
    context.strokeStyle = '#000';
    context.beginPath();
    context.moveTo(x, y); context.lineTo(x + width, y + height);
    context.moveTo(x, y + height); context.lineTo(x + width, y);
    context.stroke();
  }

  markCurrent(one) {
    const { x, y, width, height } = one, { context } = this;
    this.stroke('#000', 9, [], x, y, width, height);
    this.mark({ ...one, quiet: true });
    this.stroke(one.style.colour, 5, one.style.dashed ? [7, 4] : [], x, y, width, height);
    if (Math.min(width, height) >= GRIP_PX && !this.tool) {
      for (const across of [0, 0.5, 1]) for (const down of [0, 0.5, 1]) if (across !== 0.5 || down !== 0.5) {
        context.fillStyle = '#fff';
        context.fillRect(x + across * width - 4, y + down * height - 4, 8, 8);
        this.stroke('#000', 1.5, [], x + across * width - 4, y + down * height - 4, 8, 8);
      }
    }
    this.label(one, 15);
  }

  label({ x, y, height, sign, name }, size) {
    const { context } = this;
    context.font = `600 ${size}px system-ui, "DejaVu Sans", sans-serif`;
    context.lineJoin = 'round', context.lineWidth = 3, context.strokeStyle = '#fff', context.fillStyle = '#000';
    context.setLineDash([]);
    const text = `${sign} ${name}`.trim(), most = this.canvas.clientWidth - context.measureText(text).width - 4;
    const at = [text, Math.max(Math.min(x, most), 2), y - 7 < size ? y + height + size + 5 : y - 7];
    context.strokeText(...at);
    context.fillText(...at);
  }

  outline([x1, y1, x2, y2], { scale, left, top }, strokes, fill = null) {
    const box = [x1 * scale + left, y1 * scale + top, (x2 - x1) * scale, (y2 - y1) * scale];
    if (fill) { this.context.fillStyle = fill; this.context.fillRect(...box); }
    for (const [colour, width, dashes] of strokes) this.stroke(colour, width, dashes, ...box);
  }

  stroke(colour, lineWidth, dashes, x, y, width, height) {
    const { context } = this;
    context.strokeStyle = colour;
    context.lineWidth = lineWidth;
    context.setLineDash(dashes);
    context.strokeRect(x, y, width, height);
  }
}
