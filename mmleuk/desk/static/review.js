// The review of a film. The server keeps every answer; this page only shows and asks.

import { card, rows, shown, UNKNOWN } from './card.js';
import { ask, byId, element } from './dom.js';
import { Meter } from './meter.js';
import { Picture } from './picture.js';
import { showSummary } from './summary.js';

const meter = new Meter();
const state = { film: null, who: '', current: null, chosen: {}, row: 0, mode: null, draft: null, done: [], busy: false };
const picture = new Picture(byId('picture'), { chosen: id => go(id) });

const cells = () => state.film.cells;
const cellOf = id => cells().find(cell => cell.id === id);
const fieldOf = look => state.film.fields.find(field => field.look === look);
const typeOf = name => state.film.types.find(type => type.name === name) ?? { colour: '#BBBBBB', dashed: true };
const answered = cell => cell.said.cell === 'no cell' || 'type' in cell.said;
const listed = () => cells().filter(cell => !byId('only').checked || typeOf(shown(cell).type).leukocyte);

function say(text) { byId('said').textContent = text; }

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
  if (!state.film.types.some(type => type.leukocyte)) byId('only').checked = false;
  if (state.current && !cellOf(state.current)) state.current = null;
}

function show() {
  const cell = state.draft ?? (state.current ? cellOf(state.current) : null);
  const look = cell?.look ?? picture.field?.look ?? state.film.fields[0].look;
  picture.cells = cells().filter(one => one.look === look).map(one => {
    const name = shown(one, one.id === state.current ? state.chosen : {}).type, noCell = one.said.cell === 'no cell';
    const style = typeOf(name), quiet = byId('only').checked && !style.leukocyte;
    return { id: one.id, quiet, box: one.box, name, noCell, style, sign: noCell ? '✕' : answered(one) ? '✓' : '' };
  });
  picture.regions = state.film.regions.filter(region => region.look === look);
  picture.current = state.current;
  if (picture.field?.look !== look) picture.open(fieldOf(look)); else picture.draw();
  byId('fields').value = String(look);
  byId('card').replaceChildren(...(cell ? card(state.film, fieldOf(look), cell, state.chosen, state.row, choose) : [
    element('p', {}, listed().length ? 'No cell is chosen. j goes to the first.' : 'No cell of this kind. a adds one, r marks a region.')]));
  const list = listed(), count = list.filter(answered).length;
  byId('progress').textContent = `${state.who}: ${count} of ${list.length} cells answered, ` +
    `${state.film.regions.length} region${state.film.regions.length === 1 ? '' : 's'} reviewed`;
  showOrder(list);
}

function showOrder(list) {
  byId('order').replaceChildren(...list.slice(0, 400).map(cell => element('li', {
    class: cell.id === state.current ? 'current' : null, click: () => go(cell.id) },
    `${cell.said.cell === 'no cell' ? '✕' : answered(cell) ? '✓' : '·'} ${shown(cell).type}`,
    element('span', { class: 'dim' }, ` ${cell.reasons.join(', ') || (cell.drawn ? '' : cell.score.toFixed(2))}`))));
  const current = byId('order').querySelector('.current');
  if (current) byId('order').scrollTop = current.offsetTop - byId('order').offsetTop - 60;
}

function go(id) {
  leave();
  state.current = id, state.chosen = {}, state.row = 0;
  show();
  if (id) picture.reveal(cellOf(id).box);
}

// The next cell in the order; with open, the next one without an answer.
function step(by, open = false) {
  const list = listed(), at = list.findIndex(cell => cell.id === state.current);
  if (!list.length) return;
  if (open) {
    const rest = [...list.slice(at + 1), ...list.slice(0, at + 1)].find(cell => !answered(cell));
    if (!rest) say('Every cell of the list is answered.');
    return go(rest?.id ?? state.current);
  }
  go(list[at < 0 ? 0 : (at + by + list.length) % list.length].id);
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
  show();
}

function chooseBy(by) {
  const row = rows(state.film)[state.row], cell = state.draft ?? cellOf(state.current);
  const at = row.values.indexOf(shown(cell, state.chosen)[row.key] ?? UNKNOWN);
  choose(state.row, row.values[(at + by + row.values.length) % row.values.length]);
}

const confirm = () => doing(async () => {
  if (state.mode) return place();
  if (state.draft) return keepDraft();
  const cell = cellOf(state.current);
  if (!cell) return step(1);
  const { cell: _, ...said } = shown(cell, state.chosen);
  await answer(cell, said);
});

const denyCell = () => doing(async () => {
  if (state.current && !state.mode && !state.draft) await answer(cellOf(state.current), { cell: 'no cell' });
});

async function answer(cell, said) {
  await ask(`/api/cells/${cell.id}`, { who: state.who, said, cost: meter.take() });
  const { cell: verdict, ...before } = shown(cell), first = !Object.keys(cell.said).length;
  state.done.push({ kind: first ? 'first' : 'answer', id: cell.id, said: verdict === 'no cell' ? { cell: verdict } : before });
  cell.said = 'type' in said ? { ...cell.said, ...said, cell: 'cell' } : { ...cell.said, ...said };
  step(1, true);
}

const undo = () => doing(async () => {
  const last = state.done.at(-1);
  if (!last) return say('Nothing to undo since the page was opened.');
  if (last.kind === 'region') await ask(`/api/regions/${last.id}/withdraw`, { who: state.who, cost: meter.take() });
  else if (last.kind === 'first') await ask(`/api/cells/${last.id}/undo`, { who: state.who, cost: meter.take() });
  else await ask(`/api/cells/${last.id}`, { who: state.who, said: last.said, cost: meter.take() });
  state.done.pop();
  await load();
  go(last.kind === 'region' ? state.current : cellOf(last.id)?.id ?? null);
  say(last.kind === 'region' ? 'The region is no longer marked; what was said about its cells stays.' : 'Undone: as it was before.');
});

const HINTS = {
  cell: 'A new cell: drag a box, or move it with the arrows and change its size with + and -. Enter places it, Esc leaves.',
  region: 'A region: drag a box, or use arrows, + and -; f takes the whole field. Enter goes on, Esc leaves.' };

function begin(kind) {
  leave();
  state.mode = kind;
  byId('mode').textContent = HINTS[kind];
  picture.begin(kind, 0.8);
}

function leave() {
  state.mode = state.draft = null;
  byId('mode').textContent = '';
  picture.end();
}

async function place() {
  const box = picture.tool.map(value => Math.round(value * 100) / 100), look = picture.field.look;
  if (state.mode === 'cell') {
    leave();
    state.draft = { id: 0, look, box, type: null, attributes: {}, said: {}, reasons: [], score: 1 };
    state.chosen = {}, state.row = 0;
    picture.tool = box;
    return show();
  }
  const inside = ({ box: [x1, y1, x2, y2] }) => (x1 + x2) / 2 >= box[0] && (x1 + x2) / 2 <= box[2] && (y1 + y2) / 2 >= box[1] && (y1 + y2) / 2 <= box[3];
  const open = cells().filter(cell => cell.look === look && inside(cell) && !Object.keys(cell.said).length);
  if (state.mode === 'region' && open.length) {
    state.mode = 'asked';
    byId('mode').textContent = `${open.length} cell${open.length === 1 ? '' : 's'} in this region without your answer: Enter ` +
      'confirms them as shown and says that no cell is missing here. Esc leaves.';
    return;
  }
  const { id, confirmed } = await ask('/api/regions', { who: state.who, look, box, cost: meter.take() });
  state.done.push({ kind: 'region', id });
  leave();
  await load();
  show();
  say(`Region reviewed${confirmed ? `; ${confirmed} cell${confirmed === 1 ? '' : 's'} confirmed with it` : ''}.`);
}

async function keepDraft() {
  if (!state.chosen.type) return say('Choose its type first: a number, or t.');
  const said = Object.fromEntries(Object.entries(state.chosen).filter(([, value]) => value !== UNKNOWN));
  const { id } = await ask('/api/cells', { who: state.who, look: state.draft.look, box: state.draft.box, said, cost: meter.take() });
  state.done.push({ kind: 'drawn', id, said: { cell: 'no cell' } });
  await load();
  go(id);
  say('The cell is kept.');
}

// Choose a type by its first letters.
function findType() {
  state.row = 0;
  show();
  const input = element('input', { id: 'find', 'aria-label': 'Type', placeholder: 'first letters, then Enter' });
  input.addEventListener('keydown', event => {
    event.stopPropagation();
    const wanted = input.value.trim().toLowerCase(), names = state.film.types.map(type => type.name);
    const found = names.find(name => name.toLowerCase().startsWith(wanted)) ?? names.find(name => name.toLowerCase().includes(wanted));
    if (event.key === 'Enter' && wanted && found) { event.preventDefault(); choose(0, found); }
    else if (event.key === 'Enter') say(`No type begins with ${input.value}.`);
    else if (event.key === 'Escape') show();
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
  const cell = state.draft ?? (state.current && cellOf(state.current));
  if (picture.view[2] >= picture.field.width && cell) picture.approach(cell.box); else picture.fit();
}

function toggleOnly() {
  byId('only').checked = !byId('only').checked;
  show();
}

const KEYS = {
  Enter: confirm, x: denyCell, Delete: denyCell, j: () => step(1), k: () => step(-1), n: () => step(1, true), u: undo,
  '[': () => toField(-1), ']': () => toField(1), a: () => begin('cell'), r: () => begin('region'), t: findType, z: zoomToggle,
  o: toggleOnly, e: exportFile, s: () => doing(showSummary), '?': () => byId('help').showModal(), Escape: () => { leave(); show(); },
  ArrowUp: () => mark(-1), ArrowDown: () => mark(1), ArrowLeft: () => chooseBy(-1), ArrowRight: () => chooseBy(1),
  '+': () => picture.zoom(0.8), '=': () => picture.zoom(0.8), '-': () => picture.zoom(1.25) };
const NEEDS_CELL = new Set(['t', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown']);

function mark(by) {
  const count = rows(state.film).length;
  state.row = (state.row + by + count) % count;
  show();
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
  if (event.ctrlKey || event.metaKey || event.altKey || !state.film || document.querySelector('dialog[open]')) return;
  if (event.target.matches('select, input:not([type=checkbox])') || event.key === ' ' || event.key === 'Tab') return;
  if (event.key === 'Enter' && event.target.matches('button:not(#confirm)') && event.target.closest('header, .bar')) return;
  if (state.busy) return event.preventDefault();
  if (state.mode && moveTool(event)) return event.preventDefault();
  const has = state.draft || state.current;
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
  byId('only').addEventListener('change', show);
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
