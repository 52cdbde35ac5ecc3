// The field with its boxes: zoom, choose a box, and draw one for a new cell or a region.

import { drawn } from './dom.js';

const LARGEST_PX = 4096;  // the server makes larger images smaller

export class Picture {
  // on: chosen(cell id), boxed(box) when a drawn box changes
  constructor(svg, on) {
    Object.assign(this, { svg, on, field: null, view: null, tool: null, cells: [], regions: [], current: null });
    this.image = drawn('image'), this.detail = drawn('image'), this.marks = drawn('g');
    svg.append(this.image, this.detail, this.marks);
    svg.addEventListener('wheel', event => { event.preventDefault(); this.zoom(event.deltaY < 0 ? 0.8 : 1.25, this.at(event)); });
    svg.addEventListener('pointerdown', event => this.press(event));
    svg.addEventListener('pointermove', event => this.move(event));
    for (const kind of ['pointerup', 'pointercancel']) svg.addEventListener(kind, () => { this.held = null; });
    new ResizeObserver(() => this.field && this.draw()).observe(svg);
  }

  open(field) {
    if (this.field?.look === field.look) return;
    this.field = field;
    this.image.setAttribute('href', `/api/fields/${field.look}/image`);
    this.detail.removeAttribute('href');
    for (const [name, value] of [['width', field.width], ['height', field.height]]) this.image.setAttribute(name, value);
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

  // Pixels of the image below a pointer.
  at(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [point.x, point.y];
  }

  // Image pixels per pixel of the screen.
  get unit() { return 1 / (this.svg.getScreenCTM()?.a || 1); }

  // Begin to draw a box; it starts in the middle of the view, or as all of it.
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

  // Move the box by pixels, or change its size, and keep it within the image.
  shift(dx, dy, grow = 0) {
    const [x1, y1, x2, y2] = this.tool;
    const width = Math.min(Math.max(x2 - x1 + 2 * grow, 4), this.field.width);
    const height = Math.min(Math.max(y2 - y1 + 2 * grow, 4), this.field.height);
    const x = Math.min(Math.max((x1 + x2 - width) / 2 + dx, 0), this.field.width - width);
    const y = Math.min(Math.max((y1 + y2 - height) / 2 + dy, 0), this.field.height - height);
    this.tool = [x, y, x + width, y + height];
    this.draw();
  }

  end() { this.tool = null; this.held = null; this.draw(); }

  press(event) {
    const from = this.at(event);
    this.held = { from, view: [...this.view], client: [event.clientX, event.clientY] };
    if (this.tool || !event.target.dataset.cell) this.svg.setPointerCapture(event.pointerId);
    else this.on.chosen(Number(event.target.dataset.cell));
  }

  move(event) {
    if (!this.held) return;
    if (this.tool) {
      const to = this.at(event), from = this.held.from;
      const inside = (value, most) => Math.min(Math.max(value, 0), most);
      const [x1, x2] = [from[0], to[0]].map(x => inside(x, this.field.width)).sort((a, b) => a - b);
      const [y1, y2] = [from[1], to[1]].map(y => inside(y, this.field.height)).sort((a, b) => a - b);
      if (x2 - x1 > 2 && y2 - y1 > 2) { this.tool = [x1, y1, x2, y2]; this.draw(); }
      return;
    }
    const [x, y, width, height] = this.held.view, unit = this.unit;
    this.view = [x - (event.clientX - this.held.client[0]) * unit, y - (event.clientY - this.held.client[1]) * unit, width, height];
    this.draw();
  }

  draw() {
    this.svg.setAttribute('viewBox', this.view.join(' '));
    const unit = this.unit, marks = [];
    for (const region of this.regions) {
      marks.push(rect(region.box, { class: 'region under' }), rect(region.box, { class: 'region' }));
    }
    const crowded = this.cells.length > 60;
    const inOrder = this.cells.filter(cell => cell.id !== this.current).concat(this.cells.filter(cell => cell.id === this.current));
    for (const cell of inOrder) marks.push(...this.mark(cell, unit, crowded));
    if (this.tool) marks.push(rect(this.tool, { class: 'tool' }));
    this.marks.replaceChildren(...marks);
    this.showDetail();
  }

  mark(cell, unit, crowded) {
    const own = cell.id === this.current, state = own ? ' current' : '';
    const [x1, y1, x2, y2] = cell.box, parts = [];
    if (!cell.quiet || own) parts.push(rect(cell.box, { class: `halo${state}` }));
    parts.push(rect(cell.box, { class: `cell${state}${cell.style.dashed ? ' again' : ''}${cell.quiet && !own ? ' quiet' : ''}`, stroke: cell.style.colour,
      'data-cell': cell.id }));
    if (cell.noCell) {
      parts.push(drawn('line', { class: 'crossed', x1, y1, x2, y2 }), drawn('line', { class: 'crossed', x1, y1: y2, x2, y2: y1 }));
    }
    if (own || !crowded && !cell.quiet) {
      const size = (own ? 15 : 12) * unit;
      parts.push(drawn('text', { x: x1, y: y1 - 5 * unit < this.view[1] + size ? y2 + size + 3 * unit : y1 - 5 * unit,
        'font-size': size, 'stroke-width': 3 * unit }, `${cell.sign} ${cell.name}`.trim()));
    }
    return parts;
  }

  // A large field is shown smaller; where one looks closely, its own pixels are fetched.
  showDetail() {
    if (Math.max(this.field.width, this.field.height) <= LARGEST_PX) return;
    clearTimeout(this.waiting);
    const [x, y, width, height] = this.cut(this.view).map(Math.floor);
    if (Math.max(width, height) > LARGEST_PX) return;
    this.waiting = setTimeout(() => {
      for (const [name, value] of Object.entries({ x, y, width, height })) this.detail.setAttribute(name, value);
      this.detail.setAttribute('href', `/api/fields/${this.field.look}/image?window=${x},${y},${width},${height}`);
    }, 200);
  }
}

function rect([x1, y1, x2, y2], attributes) {
  return drawn('rect', { x: x1, y: y1, width: x2 - x1, height: y2 - y1, ...attributes });
}
