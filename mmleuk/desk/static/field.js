// The pixels of a field: all of it, made smaller where it is large, and the part that is looked at closely.

const LARGEST_PX = 4096;  // the server makes larger images smaller
const OVERVIEW_PX = 1400;
const PATIENCE_MS = 200;

export class Field {
  // ready: called when pixels have come
  constructor(ready) { Object.assign(this, { ready, field: null, whole: null, overview: null, detail: null, near: null, asked: '', crops: [] }); }

  open(field) {
    Object.assign(this, { field, whole: null, overview: null, detail: null, near: null, asked: '', crops: [] });
    clearTimeout(this.waiting);
    clearTimeout(this.nearing);
    this.fetch('', image => {
      this.whole = image;
      const share = OVERVIEW_PX / Math.max(image.naturalWidth, image.naturalHeight);
      if (share < 0.7) this.overview = smaller(image, share);
    });
  }

  get large() { return Math.max(this.field.width, this.field.height) > LARGEST_PX; }

  // An image that comes when another field is open already is dropped.
  async fetch(query, keep) {
    const field = this.field, image = new Image();
    image.src = `/api/fields/${field.look}/image${query}`;
    try {
      await image.decode();
    } catch {
      return;  // the page shows boxes without pixels; the server has said why
    }
    if (field !== this.field) return;
    keep(image);
    for (const crop of this.crops) this.fill(crop);
    this.ready();
  }

  // Paint what is in view: x, y, width, height in pixels of the field.
  paint(context, { scale, left, top }, [x, y, width, height], ratio) {
    const enough = this.overview && this.overview.width >= this.field.width * scale * ratio;
    this.put(context, enough ? this.overview : this.whole, [0, 0, this.field.width, this.field.height], [x, y, width, height], scale, left, top);
    if (!this.large || Math.max(width, height) > LARGEST_PX) return;
    if (this.detail) this.put(context, this.detail.image, this.detail.box, [x, y, width, height], scale, left, top);
    this.look([x, y, width, height]);
  }

  // The part of an image of a box of the field that lies in another box.
  put(context, image, [bx, by, bw, bh], [x, y, width, height], scale, left, top) {
    if (!image) return;
    const x1 = Math.max(x, bx), y1 = Math.max(y, by), x2 = Math.min(x + width, bx + bw), y2 = Math.min(y + height, by + bh);
    if (x2 <= x1 || y2 <= y1) return;
    const across = (image.naturalWidth ?? image.width) / bw, down = (image.naturalHeight ?? image.height) / bh;
    context.drawImage(image, (x1 - bx) * across, (y1 - by) * down, (x2 - x1) * across, (y2 - y1) * down,
      x1 * scale + left, y1 * scale + top, (x2 - x1) * scale, (y2 - y1) * scale);
  }

  // Where one looks closely at a large field, its own pixels are fetched, with some around them.
  look([x, y, width, height]) {
    const around = value => Math.floor(value / 64) * 64;
    const left = around(x), top = around(y);
    const right = Math.min(around(x + width) + 64, this.field.width), bottom = Math.min(around(y + height) + 64, this.field.height);
    const box = [left, top, Math.min(right - left, LARGEST_PX), Math.min(bottom - top, LARGEST_PX)];
    if (this.asked === box.join(',')) return;
    this.asked = box.join(',');
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.fetch(`?window=${box.join(',')}`, image => { this.detail = { image, box }; }), PATIENCE_MS);
  }

  // A square of the field around a box, as a canvas that is filled when the pixels are there.
  crop(box, side) {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: 2 * side, height: 2 * side });
    this.crops = [{ canvas, part: square(box) }];
    this.fill(this.crops[0]);
    clearTimeout(this.nearing);
    if (this.large) this.nearing = setTimeout(() => this.approach(this.crops[0].part), PATIENCE_MS);
    return canvas;
  }

  approach([x, y, side]) {
    const left = Math.max(Math.floor(x), 0), top = Math.max(Math.floor(y), 0);
    const box = [left, top, Math.min(Math.ceil(side), this.field.width - left), Math.min(Math.ceil(side), this.field.height - top)];
    if (box[2] <= LARGEST_PX && box[3] <= LARGEST_PX) this.fetch(`?window=${box.join(',')}`, image => { this.near = { image, box }; });
  }

  fill({ canvas, part: [x, y, side] }) {
    const context = canvas.getContext('2d'), scale = canvas.width / side;
    const whole = { image: this.whole, box: [0, 0, this.field.width, this.field.height] };
    for (const one of [whole, this.detail, this.near]) {
      if (one) this.put(context, one.image, one.box, [x, y, side, side], scale, -x * scale, -y * scale);
    }
  }
}

// The square around a box, with some of what lies beside it: x, y, side.
function square([x1, y1, x2, y2]) {
  const side = Math.max(x2 - x1, y2 - y1, 4) * 1.4;
  return [(x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side];
}

function smaller(image, share) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(image.naturalWidth * share), canvas.height = Math.round(image.naturalHeight * share);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}
