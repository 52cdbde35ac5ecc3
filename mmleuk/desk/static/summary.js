// Agreement of people and what their review cost.

import { ask, byId, element, table } from './dom.js';

const short = (value, digits = 2) => (value == null ? '–' : Number(value.toFixed(digits)));
const range = ([low, high] = []) => (low == null ? '–' : `${low.toFixed(2)} to ${high.toFixed(2)}`);

export async function showSummary() {
  const { costs, agreement } = await ask('/api/summary');
  const parts = [];
  if (!costs.length) parts.push(element('p', {}, 'Nobody has answered yet.'));
  else parts.push(table(['Who', 'Cells', 'With a region', 'Minutes', 'Minutes per cell', 'Clicks per cell', 'Keys per cell'],
    costs.map(one => [one.who, one.cells, one.with_region, short(one.minutes, 1), short(one.minutes_per_cell), short(one.clicks_per_cell),
      short(one.keys_per_cell)])));
  for (const pair of agreement) {
    parts.push(element('h2', {}, `${pair.people.join(' and ')}: agreement on the cells that both answered`));
    parts.push(pair.figures.some(one => one.n) ? table(
      ['About', 'Cells', 'Agreed', 'Share, 95% interval', 'Kappa', 'Kappa, 95% interval'], pair.figures.map(one =>
      [one.key, one.n, one.agreed, range(one.rate_interval ?? undefined), short(one.kappa), range(one.kappa_interval ?? undefined)])) : element('p', {}, 'None yet.'));
  }
  if (costs.length && !agreement.length) parts.push(element('p', { class: 'dim' }, "With a second person's answers, kappa stands here."));
  byId('figures').replaceChildren(...parts);
  byId('summary').showModal();
}
