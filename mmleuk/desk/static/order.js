// The list of cells in their order, a page of it at a time: the one with the current cell, or that one turns to.

import { byId, element } from './dom.js';

const PER_PAGE = 100;

export class Order {
  // go(cell id), nameOf(cell), answered(cell)
  constructor(go, nameOf, answered) {
    Object.assign(this, { go, nameOf, answered, cells: [], current: null, page: 0 });
    byId('earlier').addEventListener('click', event => { this.turn(-1); event.target.blur(); });
    byId('later').addEventListener('click', event => { this.turn(1); event.target.blur(); });
  }

  show(cells, current) {
    const at = cells.findIndex(cell => cell.id === current);
    if (current !== this.current || this.page * PER_PAGE >= cells.length) this.page = at < 0 ? 0 : Math.floor(at / PER_PAGE);
    Object.assign(this, { cells, current });
    this.draw();
  }

  turn(by) {
    const pages = Math.max(Math.ceil(this.cells.length / PER_PAGE), 1);
    this.page = (this.page + by + pages) % pages;
    this.draw();
  }

  draw() {
    const from = this.page * PER_PAGE, list = byId('order'), some = this.cells.slice(from, from + PER_PAGE);
    list.replaceChildren(...some.map(cell => this.item(cell)));
    list.setAttribute('start', from + 1);
    byId('pages').hidden = this.cells.length <= PER_PAGE;
    byId('page').textContent = `${from + 1} to ${from + some.length} of ${this.cells.length}`;
    const current = list.querySelector('.current');
    list.scrollTop = current ? current.offsetTop - list.offsetTop - 60 : 0;
  }

  item(cell) {
    const sign = cell.said.cell === 'no cell' ? '✕' : this.answered(cell) ? '✓' : '·';
    return element('li', { class: cell.id === this.current ? 'current' : null, click: () => this.go(cell.id) },
      `${sign} ${this.nameOf(cell)}`,
      element('span', { class: 'dim' }, ` ${cell.reasons.join(', ') || (cell.drawn ? '' : cell.score.toFixed(2))}`));
  }
}
