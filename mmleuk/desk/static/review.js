// The review of a film. The server keeps every answer; this page only shows and asks.

import { moved, resized } from './box.js';
import { boxOf, card, rows, shown, UNKNOWN, unkept } from './card.js';
import { ask, byId, element, pluralN } from './dom.js';
import { Meter } from './meter.js';
import { Order } from './order.js';
import { Picture } from './picture.js';
import { showSummary } from './summary.js';

const meter = new Meter();
const state = { film: null, who: '', current: null, chosen: {}, row: 0, mode: null, draft: null, done: [], busy: false,
  byId: new Map(), byLook: new Map(), types: new Map(), list: null };
export const picture = new Picture(byId('picture'), { chosen: id => go(id), boxed: box => changeBox(box), look: cell => lookOf(cell) });
const order = new Order(id => go(id), cell => typeName(cell), answered);

const NO_TYPE = { colour: '#BBBBBB', dashed: true, leukocyte: true };
const cellOf = id => state.byId.get(id);
const fieldOf = look => state.film.fields.find(field => field.look === look);
const typeOf = name => state.types.get(name) ?? NO_TYPE;
const typeName = cell => cell.said.type ?? cell.type;
const shownCell = () => state.draft ?? cellOf(state.current) ?? null;

function answered(cell) { return cell.said.cell === 'no cell' || 'type' in cell.said; }
function say(text) { byId('said').textContent = text; }

// The cells in the order of work; made again when something changes what belongs to it.
function listed() {
  const only = byId('only').checked;
  return state.list ??= state.film.cells.filter(cell => !only || typeOf(typeName(cell)).leukocyte);
}

// One thing at a time: the next key waits until the server has kept the answer.
async function doing(action) {
  if (state.busy) return;
  state.busy = true;
  say('');
  try {
    await action();
  } catch (error) {
    say(error.message);
  } finally {
    state.busy = false;
  }
}

async function load() {
  state.film = await ask(`/api/film?who=${encodeURIComponent(state.who)}`);
  state.types = new Map(state.film.types.map(type => [type.name, type]));
  if (!state.film.types.some(type => type.leukocyte)) byId('only').checked = false;
  indexCells();
}

function indexCells() {
  state.list = null;
  state.byId = new Map(state.film.cells.map(cell => [cell.id, cell]));
  state.byLook = new Map(state.film.fields.map(field => [field.look, []]));
  for (const cell of state.film.cells) state.byLook.get(cell.look).push(cell);
}

// How the picture shows a cell.
function lookOf(cell) {
  const own = cell === state.draft || cell.id === state.current, chosen = own ? state.chosen : {};
  const name = chosen.type ?? typeName(cell), noCell = cell.said.cell === 'no cell', style = typeOf(name);
  return { box: boxOf(cell, chosen), name: name ?? 'new', noCell, style, quiet: !own && byId('only').checked && !style.leukocyte,
    sign: noCell ? '✕' : answered(cell) ? '✓' : '' };
}

function show() {
  const cell = shownCell(), look = cell?.look ?? picture.field?.look ?? state.film.fields[0].look;
  picture.cells = state.byLook.get(look);
  picture.regions = state.film.regions.filter(region => region.look === look);
  picture.current = cell;
  picture.hovered = null;
  if (picture.field?.look !== look) picture.open(fieldOf(look)); else picture.draw();
  byId('fields').value = String(look);
  showCard();
  const list = listed(), count = list.filter(answered).length;
  byId('progress').textContent = `${state.who}: ${count} of ${list.length} cells answered, ` +
    `${pluralN(state.film.regions.length, 'region')} reviewed`;
  order.show(list, state.current);
}

function showCard() {
  const cell = shownCell();
  byId('card').replaceChildren(...(cell ? card(state.film, crop(cell), cell, state.chosen, state.row, choose) : [
    element('p', {}, listed().length ? 'No cell is chosen. j goes to the first.' : 'No cell of this kind. a adds one, r marks a region.')]));
}

function crop(cell) {
  const canvas = picture.pixels.crop(boxOf(cell, state.chosen), 120);
  for (const [name, value] of [['class', 'crop'], ['role', 'img'], ['aria-label', 'The cell']]) canvas.setAttribute(name, value);
  return canvas;
}

function go(id) {
  drop();
  state.current = id;
  show();
  if (id) picture.reveal(boxOf(cellOf(id)));
}

// The next cell in the order; with open, the next one without an answer.
function step(by, open = false) {
  const list = listed(), at = list.findIndex(cell => cell.id === state.current);
  if (open) {
    const rest = list.slice(at + 1).find(cell => !answered(cell)) ?? list.find(cell => !answered(cell));
    if (!rest && list.length) say('Every cell of the list is answered.');
    return go(rest?.id ?? state.current);
  }
  if (list.length) go(list[at < 0 ? 0 : (at + by + list.length) % list.length].id);
}

function toField(by) {
  const at = state.film.fields.findIndex(field => field.look === picture.field.look);
  const look = state.film.fields[(at + by + state.film.fields.length) % state.film.fields.length].look;
  openField(look);
}

function openField(look) {
  const first = listed().find(cell => cell.look === look);
  if (first) return go(first.id);
  go(null);
  picture.open(fieldOf(look));
  show();
}

function choose(number, value) {
  state.row = number;
  state.chosen = { ...state.chosen, [rows(state.film)[number].key]: value };
  picture.draw();
  showCard();
}

function chooseBy(by) {
  const row = rows(state.film)[state.row], cell = shownCell();
  const at = row.values.indexOf(shown(cell, state.chosen)[row.key] ?? UNKNOWN);
  choose(state.row, row.values[(at + by + row.values.length) % row.values.length]);
}

// Another box for the cell; Enter keeps it.
function changeBox(box) {
  state.chosen = { ...state.chosen, box: box.map(value => Math.round(value * 100) / 100) };
  picture.draw();
  showCard();
}

// Shift and an arrow move the box; Alt and an arrow move its right or lower side, with Shift the left or upper one.
function nudge(event) {
  const cell = shownCell(), unit = Math.max(picture.unit, 1), sign = event.altKey && event.shiftKey ? -1 : 1;
  const [dx, dy] = { ArrowUp: [0, -unit], ArrowDown: [0, unit], ArrowLeft: [-unit, 0], ArrowRight: [unit, 0] }[event.key];
  const sides = { across: dx ? sign : 0, down: dy ? sign : 0 };
  changeBox((event.altKey ? resized : moved)(boxOf(cell, state.chosen), dx, dy, picture.field, sides));
}

const confirm = () => doing(async () => {
  if (state.mode) return place();
  if (state.draft) return keepDraft();
  const cell = cellOf(state.current);
  if (!cell) return step(1);
  const { cell: _, box, ...said } = shown(cell, state.chosen);
  await answer(cell, state.chosen.box ? { ...said, box: box.join(',') } : said);
});

const denyCell = () => doing(async () => {
  if (state.current && !state.mode && !state.draft) await answer(cellOf(state.current), { cell: 'no cell' });
});

async function answer(cell, said) {
  const { said: now } = await ask(`/api/cells/${cell.id}`, { who: state.who, said, before: cell.said, cost: meter.take() });
  state.done.push({ kind: 'answer', id: cell.id, said: cell.said });
  cell.said = now;
  state.list = null;
  step(1, true);
}

const undo = () => doing(async () => {
  const last = state.done.at(-1);
  if (!last) return say('Nothing to undo since the page was opened.');
  const cost = meter.take(), who = state.who, lost = waiting(), before = cellOf(last.id)?.said;
  const { said } = last.kind === 'region' ? await ask(`/api/regions/${last.id}/withdraw`, { who, cost })
    : await ask(`/api/cells/${last.id}/undo`, { who, said: last.said, before, cost });
  state.done.pop();
  if (last.kind === 'region') state.film.regions = state.film.regions.filter(region => region.id !== last.id);
  else if (last.kind === 'drawn') state.film.cells = state.film.cells.filter(cell => cell.id !== last.id);
  else cellOf(last.id).said = said;
  indexCells();
  go(last.kind === 'region' ? state.current : cellOf(last.id)?.id ?? null);
  say((last.kind === 'region' ? 'The region is no longer marked; what was said about its cells stays.' : 'Undone: as it was before.')
    + (lost ? ` Not kept: ${lost}.` : ''));
});

const HINTS = {
  cell: 'A new cell: drag a box, or move it with the arrows and change its size with + and -. Enter places it, Esc leaves.',
  region: 'A region: drag a box, or use arrows, + and -; f takes the whole field. Enter goes on, Esc leaves.' };

function begin(kind) {
  if (state.draft) drop();
  leave();
  state.mode = kind;
  byId('mode').textContent = HINTS[kind];
  picture.begin(kind, 0.8);
}

function leave() {
  if (state.draft) state.chosen = {};
  state.mode = state.draft = null;
  byId('mode').textContent = '';
  picture.end();
}

// What Enter has not kept, in words.
function waiting() {
  if (state.draft) return 'the new cell';
  const cell = cellOf(state.current), names = cell ? unkept(state.film, cell, state.chosen) : [];
  return names.length ? `${names.join(', ')} of cell ${cell.id}` : '';
}

// Leave the cell that is shown, and say what is lost of it.
function drop() {
  const lost = waiting();
  leave();
  state.chosen = {}, state.row = 0;
  if (lost) say(`Not kept: ${lost}. Enter keeps what is shown.`);
}

async function place() {
  const box = picture.tool.map(value => Math.round(value * 100) / 100), look = picture.field.look;
  if (state.mode === 'cell') {
    drop();
    state.draft = { id: 0, look, box, type: null, attributes: {}, said: {}, reasons: [], score: 1 };
    return show();
  }
  const middle = ([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2];
  const inside = ([x, y]) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3];
  const open = state.byLook.get(look).filter(cell => !answered(cell) && inside(middle(boxOf(cell))));
  if (state.mode === 'region' && open.length) {
    state.mode = 'asked';
    byId('mode').textContent = `${pluralN(open.length, 'cell')} in this region without your answer: Enter ` +
      'confirms them as shown and says that no cell is missing here. Esc leaves.';
    return;
  }
  const { id, box: kept, confirmed } = await ask('/api/regions', { who: state.who, look, box, cost: meter.take() });
  state.done.push({ kind: 'region', id });
  state.film.regions.push({ id, look, box: kept });
  const count = Object.keys(confirmed).length;
  for (const [cell, said] of Object.entries(confirmed)) cellOf(Number(cell)).said = said;
  state.list = null;
  leave();
  show();
  say(`Region reviewed${count ? `; ${pluralN(count, 'cell')} confirmed with it` : ''}.`);
}

async function keepDraft() {
  if (!state.chosen.type) return say('Choose its type first: a number, or t.');
  const { box: _, ...chosen } = state.chosen, { look } = state.draft, box = boxOf(state.draft, state.chosen);
  const said = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== UNKNOWN));
  const { id, said: now } = await ask('/api/cells', { who: state.who, look, box, said, cost: meter.take() });
  state.done.push({ kind: 'drawn', id, said: cellOf(id)?.said ?? {} });
  state.film.cells = state.film.cells.filter(cell => cell.id !== id);  // drawn before, and called no cell
  state.film.cells.push({ ...state.draft, id, box, type: said.type, drawn: true, said: now, reasons: ['drawn by a person'] });
  indexCells();
  leave();
  go(id);
  say('The cell is kept.');
}

// Choose a type by its first letters.
function findType() {
  state.row = 0;
  showCard();
  const input = element('input', { id: 'find', 'aria-label': 'Type', placeholder: 'first letters, then Enter' });
  input.addEventListener('keydown', event => {
    event.stopPropagation();
    const wanted = input.value.trim().toLowerCase(), names = state.film.types.map(type => type.name);
    const found = names.find(name => name.toLowerCase().startsWith(wanted)) ?? names.find(name => name.toLowerCase().includes(wanted));
    if (event.key === 'Enter' && wanted && found) { event.preventDefault(); choose(0, found); }
    else if (event.key === 'Enter') say(`No type begins with ${input.value}.`);
    else if (event.key === 'Escape') showCard();
  });
  byId('card').querySelector('.row').append(input);
  input.focus();
}

const exportFile = () => doing(async () => {
  const data = await ask(`/api/export?who=${encodeURIComponent(state.who)}`);
  const url = URL.createObjectURL(new Blob([JSON.stringify(data)], { type: 'application/json' }));
  element('a', { href: url, download: 'train.json' }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  say(`train.json: ${data.annotations.length} cells in the reviewed regions of ${data.images.length} fields.`);
});

function zoomToggle() {
  const cell = shownCell();
  if (picture.view[2] >= picture.field.width && cell) picture.approach(boxOf(cell, state.chosen)); else picture.fit();
}

function toggleOnly() {
  byId('only').checked = !byId('only').checked;
  state.list = null;
  show();
}

const KEYS = {
  Enter: confirm, x: denyCell, Delete: denyCell, j: () => step(1), k: () => step(-1), n: () => step(1, true), u: undo,
  '[': () => toField(-1), ']': () => toField(1), a: () => begin('cell'), r: () => begin('region'), t: findType, z: zoomToggle,
  o: toggleOnly, e: exportFile, s: () => doing(showSummary), '?': () => byId('help').showModal(), Escape: escape,
  ArrowUp: () => mark(-1), ArrowDown: () => mark(1), ArrowLeft: () => chooseBy(-1), ArrowRight: () => chooseBy(1),
  '+': () => picture.zoom(0.8), '=': () => picture.zoom(0.8), '-': () => picture.zoom(1.25) };
const ARROWS = new Set(['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown']);
const NEEDS_CELL = new Set(['t', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown']);

// Leave a mode; without one, drop a changed box.
function escape() {
  if (!state.mode && !state.draft) delete state.chosen.box;
  leave();
  show();
}

function mark(by) {
  const count = rows(state.film).length;
  state.row = (state.row + by + count) % count;
  showCard();
}

// While a box is drawn, arrows and signs move and change it.
function moveTool(event) {
  const unit = Math.max(picture.unit, 1) * (event.shiftKey ? 10 : 1);
  const moves = { ArrowUp: [0, -unit], ArrowDown: [0, unit], ArrowLeft: [-unit, 0], ArrowRight: [unit, 0],
    '+': [0, 0, unit], '*': [0, 0, unit], '=': [0, 0, unit], '-': [0, 0, -unit], _: [0, 0, -unit] };
  if (event.key === 'f' && state.mode === 'region') picture.tool = [0, 0, picture.field.width, picture.field.height];
  else if (moves[event.key]) picture.shift(...moves[event.key]);
  else return false;
  if (state.mode === 'asked') begin('region');
  picture.draw();
  return true;
}

document.addEventListener('keydown', event => {
  const boxKey = (event.altKey || event.shiftKey) && ARROWS.has(event.key);
  if (event.ctrlKey || event.metaKey || event.altKey && !boxKey || !state.film || document.querySelector('dialog[open]')) return;
  if (event.target.matches('select, input:not([type=checkbox])') || event.key === ' ' || event.key === 'Tab') return;
  if (event.key === 'Enter' && event.target.matches('button:not(#confirm)')) return;
  if (state.busy) return event.preventDefault();
  if (state.mode && moveTool(event)) return event.preventDefault();
  const has = state.draft || state.current;
  if (boxKey) {
    event.preventDefault();
    if (has && !state.mode) nudge(event);
    return;
  }
  const number = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
  if (number && has && !state.mode) {
    const value = rows(state.film)[state.row].values[number - 1];
    if (value) { event.preventDefault(); choose(state.row, value); }
    return;
  }
  const action = KEYS[event.key];
  if (!action || NEEDS_CELL.has(event.key) && (!has || state.mode)) return;
  event.preventDefault();
  action();
});

window.addEventListener('beforeunload', event => { if (state.film && waiting()) event.preventDefault(); });

const BUTTONS = { confirm, 'no-cell': denyCell, previous: () => step(-1), next: () => step(1), undo, add: () => begin('cell'),
  region: () => begin('region'), zoom: zoomToggle, 'zoom-in': () => picture.zoom(0.8), 'zoom-out': () => picture.zoom(1.25),
  'previous-field': () => toField(-1), 'next-field': () => toField(1), export: exportFile, 'show-summary': () => doing(showSummary),
  'show-help': () => byId('help').showModal() };

async function main() {
  const start = await ask('/api/start');
  document.title = `Review ${start.film}`;
  byId('film').textContent = start.film;
  state.who = await nameOf(start.who);
  await load();
  byId('fields').replaceChildren(...state.film.fields.map(field => element('option', { value: field.look }, field.name)));
  byId('fields').addEventListener('change', event => { openField(Number(event.target.value)); event.target.blur(); });
  byId('only').addEventListener('change', () => { state.list = null; show(); });
  for (const [id, action] of Object.entries(BUTTONS)) byId(id).addEventListener('click', event => { action(); event.target.blur(); });
  for (const close of document.querySelectorAll('.close')) close.addEventListener('click', () => close.closest('dialog').close());
  picture.open(state.film.fields[0]);
  meter.take();
  step(1, true);
  document.body.dataset.ready = 'yes';
}

// The reviewer's name: given at the start, kept by this tab, or asked.
async function nameOf(given) {
  const known = given || sessionStorage.getItem('who');
  if (known) return known;
  const dialog = byId('name-dialog');
  dialog.showModal();
  dialog.addEventListener('cancel', event => event.preventDefault());
  byId('name').focus();
  return new Promise(resolve => {
    const done = () => {
      const name = byId('name').value.trim();
      if (!name) { byId('name-error').textContent = 'Enter your name.'; return; }
      sessionStorage.setItem('who', name);
      dialog.close();
      resolve(name);
    };
    byId('name-ok').addEventListener('click', done);
    byId('name').addEventListener('keydown', event => { if (event.key === 'Enter') { event.preventDefault(); done(); } });
  });
}

main().catch(error => say(error.message));
