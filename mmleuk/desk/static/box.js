// Boxes as x1, y1, x2, y2 in pixels of the image: moved, resized, kept within it.

export const MIN_SIDE = 4;

// The part of a box within the field, corners in order.
export function within([x1, y1, x2, y2], field) {
  const inside = (value, most) => Math.min(Math.max(value, 0), most);
  const [left, right] = [x1, x2].map(x => inside(x, field.width)).sort((a, b) => a - b);
  const [top, bottom] = [y1, y2].map(y => inside(y, field.height)).sort((a, b) => a - b);
  return [left, top, right, bottom];
}

// The box as large as it is, elsewhere in the field.
export function moved([x1, y1, x2, y2], dx, dy, field) {
  const width = Math.min(x2 - x1, field.width), height = Math.min(y2 - y1, field.height);
  const x = Math.min(Math.max(x1 + dx, 0), field.width - width), y = Math.min(Math.max(y1 + dy, 0), field.height - height);
  return [x, y, x + width, y + height];
}

// The box with some of its sides (-1 left or top, 0 none, 1 right or bottom) moved.
export function resized(box, dx, dy, field, { across, down }) {
  const [x1, y1, x2, y2] = within(box, field);
  return [
    across < 0 ? Math.min(Math.max(x1 + dx, 0), x2 - MIN_SIDE) : x1, down < 0 ? Math.min(Math.max(y1 + dy, 0), y2 - MIN_SIDE) : y1,
    across > 0 ? Math.max(Math.min(x2 + dx, field.width), x1 + MIN_SIDE) : x2,
    down > 0 ? Math.max(Math.min(y2 + dy, field.height), y1 + MIN_SIDE) : y2];
}

// What of a box a pointer holds: its sides, its inside, or nothing (null). Reach is in pixels of the screen.
export function grip([x1, y1, x2, y2], [x, y], unit, least, reach) {
  if (Math.min(x2 - x1, y2 - y1) < least * unit) return null;
  const slack = reach * unit;
  if (x < x1 - slack || x > x2 + slack || y < y1 - slack || y > y2 + slack) return null;
  const side = (value, low, high) => (Math.abs(value - low) <= slack ? -1 : Math.abs(value - high) <= slack ? 1 : 0);
  const across = side(x, x1, x2), down = side(y, y1, y2), inside = !across && !down;
  const cursor = inside ? 'move' : !down ? 'ew-resize' : !across ? 'ns-resize' : across === down ? 'nwse-resize' : 'nesw-resize';
  return { across, down, inside, cursor };
}
