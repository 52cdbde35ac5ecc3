'use strict';
const MOST_TYPES = 6;  // with a bar; explanation.json has all
// The same sums as mmleuk.explain.Bottleneck, so that values can be edited without a server.

function spans(model) {
  let start = 0;
  return model.attributes.map(attribute => [start, start += attribute.values.length]);
}

// What each probability adds to each type's score: types x probabilities.
function terms(model, concepts) {
  const sums = model.weights.map(row => row.map((weight, column) => weight * concepts[column]));
  const stumps = model.stumps;
  if (stumps) stumps.types.forEach((type, index) => {
    const column = stumps.columns[index];
    const isLow = Math.fround(concepts[column]) <= stumps.thresholds[index];
    sums[type][column] += isLow ? stumps.low[index] : stumps.high[index];
  });
  return sums;
}

function contributions(model, concepts) {
  const added = terms(model, concepts);
  return added.map(row => spans(model).map(([start, end]) => row.slice(start, end).reduce((a, b) => a + b, 0)));
}

function probabilities(model, concepts) {
  const scores = terms(model, concepts).map((row, type) => row.reduce((a, b) => a + b, 0) + model.intercepts[type]);
  const largest = Math.max(...scores);
  const shares = scores.map(score => model.kind === 'linear' ? 1 / (1 + Math.exp(-score)) : Math.exp(score - largest));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map(share => share / sum);
}

function largestIndex(numbers) {
  return numbers.indexOf(Math.max(...numbers));
}

function predictedValues(model, concepts) {
  return spans(model).map(([start, end]) => largestIndex(concepts.slice(start, end)));
}

// Set values have the probability 1; the predicted value has the predicted probabilities again.
function edited(model, concepts, values) {
  const predicted = predictedValues(model, concepts), changed = concepts.slice();
  spans(model).forEach(([start, end], attribute) => {
    if (values[attribute] !== predicted[attribute]) {
      changed.fill(0, start, end);
      changed[start + values[attribute]] = 1;
    }
  });
  return changed;
}

function show(section, model, cell) {
  const selects = [...section.querySelectorAll('select')];
  const values = selects.map(select => select.selectedIndex);
  const predicted = predictedValues(model, cell.concepts);
  const concepts = edited(model, cell.concepts, values), shares = probabilities(model, concepts);
  const type = largestIndex(shares), before = largestIndex(probabilities(model, cell.concepts));
  const added = contributions(model, concepts)[type];
  const largest = Math.max(...added.map(Math.abs), 1e-9);
  section.querySelector('.now').textContent = model.types[type];
  section.querySelector('.was').textContent = type === before ? '' : `before: ${model.types[before]}`;
  const order = model.types.map((_, index) => index).sort((a, b) => shares[b] - shares[a]).slice(0, MOST_TYPES);
  section.querySelectorAll('.bars').forEach(bars => bars.replaceChildren(...order.flatMap(index => {
    const name = document.createElement('span'), track = document.createElement('div');
    const bar = document.createElement('div'), share = document.createElement('span');
    name.textContent = model.types[index];
    track.className = 'track';
    bar.className = 'bar';
    bar.style.width = `${(100 * shares[index]).toFixed(1)}%`;
    track.append(bar);
    share.textContent = shares[index].toFixed(3);
    return [name, track, share];
  })));
  section.querySelector('.for').textContent = model.types[type];
  section.querySelectorAll('tbody tr').forEach((row, attribute) => {
    const [start] = spans(model)[attribute], stroke = row.querySelector('.sum i');
    row.classList.toggle('edited', values[attribute] !== predicted[attribute]);
    row.querySelector('.prob').textContent = values[attribute] === predicted[attribute]
      ? concepts[start + values[attribute]].toFixed(3) : 'set';
    row.querySelector('.added').textContent = added[attribute].toFixed(3);
    stroke.className = added[attribute] < 0 ? 'minus' : 'plus';
    stroke.style.width = `${50 * Math.abs(added[attribute]) / largest}%`;
  });
  section.querySelector('button').disabled = values.every((value, attribute) => value === predicted[attribute]);
}

function start() {
  const data = JSON.parse(document.getElementById('data').textContent);
  document.querySelectorAll('section.cell').forEach((section, index) => {
    const cell = data.cells[index], selects = [...section.querySelectorAll('select')];
    const update = () => show(section, data.model, cell);
    selects.forEach(select => { select.disabled = false; select.addEventListener('change', update); });
    section.querySelector('button').addEventListener('click', () => {
      predictedValues(data.model, cell.concepts).forEach((value, attribute) => { selects[attribute].selectedIndex = value; });
      update();
    });
    update();
  });
}

if (typeof document !== 'undefined') start();
else module.exports = { probabilities, contributions, edited, predictedValues };
