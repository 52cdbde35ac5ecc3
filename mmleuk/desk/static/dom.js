// Makes elements. Names and words from files become text, never markup.

export const byId = id => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter(child => child != null));
  return node;
}

// The answer of the server as data; an error is thrown with its one line.
export async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error('The server does not answer. Is it still running? Your last answer was not kept.');
  }
  const data = await answer.json().catch(() => ({ error: `The server answers ${answer.status} without a reason.` }));
  if (!answer.ok) throw new Error(data.error || `The server answers ${answer.status}.`);
  return data;
}

// '1 cell', '2 cells'.
export const pluralN = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

export function table(heads, rows) {
  const cell = (tag, value, column) => element(tag, { class: column && typeof value !== 'string' ? 'n' : null,
    ...(tag === 'th' ? { scope: 'col' } : {}) }, String(value));
  return element('div', { class: 'scroll' }, element('table', {},
    element('thead', {}, element('tr', {}, ...heads.map((head, column) => cell('th', head, column)))),
    element('tbody', {}, ...rows.map(row => element('tr', {}, ...row.map((value, column) => cell('td', value, column)))))));
}
