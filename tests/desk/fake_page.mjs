// A page of the desk without a browser: elements of its HTML file, their events, and a server that answers at once.
// Only what the pages' scripts use; nothing is laid out or painted.

import { readFileSync } from 'node:fs';

const VOID = new Set(['meta', 'link', 'input', 'br', 'img']);
const TOKEN = /#([\w-]+)|\.([\w-]+)|\[([\w-]+)(?:=([\w-]+))?\]|:not\(([^)]+)\)|([\w-]+)/g;

class Target {
  constructor() { this.listeners = {}; }
  addEventListener(kind, listener) { (this.listeners[kind] ??= []).push(listener); }
  hear(kind, event) { for (const listener of this.listeners[kind] ?? []) listener(event); }
}

class Node extends Target {
  constructor(tag, attributes = {}) {
    super();
    Object.assign(this, { tag, attributes: {}, children: [], parent: null, value: '', style: {}, dataset: {}, open: false });
    Object.assign(this, { clientWidth: 800, clientHeight: 600, offsetTop: 0 });
    for (const [name, value] of Object.entries(attributes)) this.setAttribute(name, value);
    this.checked = 'checked' in attributes;
  }
  get id() { return this.attributes.id ?? ''; }
  get classList() {
    return { add: name => this.setAttribute('class', `${this.attributes.class ?? ''} ${name}`), toggle() {} };
  }
  get firstChild() { return this.children[0]; }
  get lastChild() { return this.children.at(-1); }
  get textContent() { return this.children.map(child => child.textContent ?? child).join(''); }
  set textContent(text) { this.replaceChildren(text); }
  setAttribute(name, value) {
    this.attributes[name] = String(value);
    if (name.startsWith('data-')) this.dataset[name.slice(5)] = String(value);
  }
  append(...added) {
    for (const child of added) if (child instanceof Node) child.parent = this;
    this.children.push(...added);
  }
  replaceChildren(...kept) { this.children = []; this.append(...kept); }
  replaceWith(other) { this.parent.children[this.parent.children.indexOf(this)] = other; other.parent = this.parent; }
  prepend(child) { child.parent = this; this.children.unshift(child); }
  * all() { for (const child of this.children) if (child instanceof Node) { yield child; yield* child.all(); } }
  querySelectorAll(wanted) { return [...this.all()].filter(node => node.matches(wanted)); }
  querySelector(wanted) { return this.querySelectorAll(wanted)[0] ?? null; }
  closest(wanted) { return this.matches(wanted) ? this : this.parent?.closest(wanted) ?? null; }
  matches(wanted) {
    return wanted.split(', ').some(one => [...one.matchAll(TOKEN)].every(([, id, name, attribute, value, other, tag]) => {
      if (id) return this.id === id;
      if (name) return (this.attributes.class ?? '').split(' ').includes(name);
      if (attribute === 'open') return this.open;
      if (attribute) return attribute in this.attributes && (!value || this.attributes[attribute] === value);
      return other ? !this.matches(other) : this.tag === tag;
    }));
  }
  click() { this.hear('click', { target: this, preventDefault() {} }); }
  focus() { document.activeElement = this; }
  blur() { document.activeElement = document.body; }
  showModal() { this.open = true; }
  close() { this.open = false; }
  getBoundingClientRect() { return { left: 0, top: 0, x: 0, y: 0, width: 800, height: 600 }; }
  getContext() {
    const known = { measureText: () => ({ width: 10 }) };
    return new Proxy(known, { get: (target, name) => target[name] ?? (() => {}) });
  }
}

function parsed(html) {
  const root = new Node('html');
  let at = root;
  for (const [, end, tag, words, text] of html.matchAll(/<(\/?)([a-z]\w*)([^>]*)>|([^<]+)/g)) {
    if (text) at.append(text);
    else if (end) at = at.parent;
    else {
      const attributes = Object.fromEntries([...words.matchAll(/([\w-]+)(?:="([^"]*)")?/g)].map(([, name, value]) => [name, value ?? '']));
      at.append(new Node(tag, attributes));
      if (!VOID.has(tag)) at = at.lastChild;
    }
  }
  return root;
}

// Open a page; answer(path, body) says what its server says. Returns what was sent to it.
export function open(html, answer) {
  const root = parsed(readFileSync(html, 'utf8').replace('<!DOCTYPE html>', '')), page = new Target(), sent = [];
  const body = root.querySelector('body');
  globalThis.window = Object.assign(globalThis, { devicePixelRatio: 1 });
  const own = new Target();
  globalThis.addEventListener = own.addEventListener.bind(own);
  globalThis.document = Object.assign(page, { body, activeElement: body, title: '', own,
    getElementById: id => root.querySelector(`#${id}`), createElement: tag => new Node(tag), createElementNS: (_, tag) => new Node(tag),
    querySelector: wanted => root.querySelector(wanted), querySelectorAll: wanted => root.querySelectorAll(wanted) });
  globalThis.ResizeObserver = class { observe() {} };
  globalThis.requestAnimationFrame = draw => draw();
  globalThis.sessionStorage = { getItem: () => null, setItem() {} };
  globalThis.Image = class { decode() { return Promise.reject(new Error('no pixels')); } };
  globalThis.fetch = async (path, { body: text } = {}) => {
    const body = typeof text === 'string' ? JSON.parse(text) : null;
    if (text) sent.push({ path, body });
    return { ok: true, status: 200, json: async () => structuredClone(answer(path, body)) };
  };
  return sent;
}

export const idle = () => new Promise(resolve => setTimeout(resolve, 20));
export const text = id => document.getElementById(id).textContent;

// Press a key where the focus is: 'Shift+ArrowRight'. A button that nobody stops takes Enter as a click.
export async function press(keys) {
  const parts = keys.split('+'), key = parts.pop(), target = document.activeElement;
  const event = { key, target, repeat: false, prevented: false, preventDefault() { this.prevented = true; }, stopPropagation() {},
    shiftKey: parts.includes('Shift'), altKey: parts.includes('Alt'), ctrlKey: false, metaKey: false };
  target.hear('keydown', event);
  document.hear('keydown', event);
  if (key === 'Enter' && !event.prevented && target.matches('button')) target.click();
  await idle();
}

// Whether the browser would ask before it leaves the page.
export function asksBeforeLeaving() {
  let asks = false;
  document.own.hear('beforeunload', { preventDefault() { asks = true; } });
  return asks;
}
