// The card of one cell: its type and attributes as rows of values, the model's underlined, the chosen one marked.

import { element } from './dom.js';

export const UNKNOWN = 'unknown';

// What is shown of a cell: the model's word, then the person's own, then what is chosen but not kept yet.
export function shown(cell, chosen = {}) {
  const values = { type: cell.type };
  for (const [key, reading] of Object.entries(cell.attributes)) values[key] = reading.value;
  return { ...values, ...cell.said, ...chosen };
}

// The box of a cell in the same order: the model's, the person's own, then one that is not kept yet.
export function boxOf(cell, chosen = {}) {
  return chosen.box ?? (cell.said.box ? cell.said.box.split(',').map(Number) : cell.box);
}

// What was chosen of a cell and is not kept yet, by the names on its card.
export function unkept(film, cell, chosen) {
  const kept = shown(cell), box = chosen.box && String(chosen.box) !== String(boxOf(cell));
  const changed = rows(film).filter(({ key }) => key in chosen && chosen[key] !== (kept[key] ?? UNKNOWN));
  return [...(box ? ['Box'] : []), ...changed.map(row => row.name)];
}

// Rows of a card: the type first, then the attributes.
export function rows(film) {
  return [{ key: 'type', name: 'Type', values: film.types.map(type => type.name) },
    ...film.attributes.map(one => ({ ...one, values: [...one.values, UNKNOWN] }))];
}

export function card(film, crop, cell, chosen, marked, choose) {
  const values = shown(cell, chosen), styles = new Map(film.types.map(type => [type.name, type]));
  const parts = [element('div', { class: 'top' }, element('div', {}, element('h2', {}, title(cell)), element('p', { class: 'dim' }, about(cell)),
    element('p', { id: 'box' }, boxText(cell, chosen))), crop)];
  rows(film).forEach((row, number) => {
    const model = row.key === 'type' ? cell.type : cell.attributes[row.key]?.value ?? UNKNOWN;
    const buttons = row.values.map((value, index) => element('button', {
      type: 'button', 'aria-pressed': String((values[row.key] ?? UNKNOWN) === value), class: value === model && cell.id ? 'model' : null,
      'data-value': value, click: () => choose(number, value) },
      row.key === 'type' ? element('span', { class: 'swatch', style: null }) : null,
      index < 9 ? `${index + 1} ` : '', value));
    if (row.key === 'type') buttons.forEach(button => {  // as a property: the page allows no styles in markup
      const style = styles.get(button.dataset.value);
      button.firstChild.style.borderColor = style.colour;
      button.firstChild.style.borderStyle = style.dashed ? 'dashed' : 'solid';
    });
    const prob = cell.attributes[row.key]?.prob;
    parts.push(element('fieldset', { class: `row${number === marked ? ' marked' : ''}`, 'data-row': row.key },
      element('legend', {}, row.name, prob != null ? ` (model: ${cell.attributes[row.key].value}, ${prob.toFixed(2)})` : ''),
      element('div', { class: 'values' }, ...buttons)));
  });
  return parts;
}

function title(cell) {
  if (!cell.id) return 'A new cell: choose its type';
  return `Cell ${cell.id}${cell.said.cell === 'no cell' ? ': no cell, you said' : cell.said.type ? ': answered' : ''}`;
}

function about(cell) {
  if (!cell.id) return 'Enter keeps it, Esc drops it.';
  const parts = cell.drawn ? ['drawn by a person'] : [`The model: ${cell.type}, score ${cell.score.toFixed(2)}`, ...cell.reasons];
  if (cell.diameter_um) parts.push(`${cell.diameter_um.toFixed(1)} µm`);
  if (cell.elsewhere) parts.push(`another field shows it better and counts it (${cell.elsewhere})`);
  return parts.join('; ');
}

// Its size, and whether somebody changed the box.
function boxText(cell, chosen) {
  const [x1, y1, x2, y2] = boxOf(cell, chosen), size = `Box ${Math.round(x2 - x1)} × ${Math.round(y2 - y1)} px`;
  if (chosen.box) return `${size}, changed: Enter keeps it, Esc drops it`;
  return cell.said.box && !cell.drawn ? `${size}, yours` : size;
}
