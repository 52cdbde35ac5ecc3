// Send a film, follow it through the queue, show what was found.

import { ask, byId, element, pluralN } from './dom.js';

const EVERY_MS = 700;
let limits;

function say(text) { byId('said').textContent = text; }

async function send(files) {
  say('');
  const bytes = [...files].reduce((sum, file) => sum + file.size, 0);
  if (!files.length) return;
  if (files.length > limits.images) return say(`${pluralN(files.length, 'image')}; a film has at most ${limits.images} here.`);
  if (bytes > limits.megabytes * 1e6) return say(`${(bytes / 1e6).toFixed(0)} MB; at most ${limits.megabytes} MB are read here.`);
  const form = new FormData();
  for (const file of files) form.append('images', file);
  const job = element('section', { class: 'job', 'aria-live': 'polite' }, element('h2', {}, [...files].map(file => file.name).join(', ')),
    element('p', {}, 'Sending …'));
  byId('jobs').prepend(job);
  try {
    const answer = await fetch('/api/films', { method: 'POST', body: form });
    const data = await answer.json().catch(() => ({ error: `The server answers ${answer.status}.` }));
    if (!answer.ok) throw new Error(data.error);
    await follow(job, data.id);
  } catch (error) {
    job.classList.add('failed');
    job.lastChild.replaceWith(element('p', { role: 'alert' }, error.message));
  }
}

async function follow(job, id) {
  for (;;) {
    const film = await ask(`/api/films/${id}`);
    if (film.state === 'failed') throw new Error(film.error);
    if (film.state === 'done') return show(job, film);
    job.lastChild.replaceWith(film.state === 'waiting' ?
      element('p', {}, `Waiting; ${pluralN(film.before, 'film')} before this one.`) :
      element('p', {}, `Reading image ${Math.min(film.done + 1, film.images)} of ${film.images} `,
        element('progress', { max: film.images, value: film.done })));
    await new Promise(resolve => setTimeout(resolve, EVERY_MS));
  }
}

function show(job, film) {
  const at = `/api/films/${film.id}`;
  const link = (name, text) => element('a', { href: `${at}/${name}`, target: '_blank', rel: 'noopener' }, text);
  const report = element('details', {}, element('summary', {}, 'Report'));
  report.addEventListener('toggle', () => {
    if (report.open && !report.querySelector('iframe')) {
      report.append(element('iframe', { src: `${at}/report.html`, sandbox: '', title: 'Report' }));
    }
  });
  job.classList.add('done');
  job.lastChild.replaceWith(element('div', { class: 'seen' },
    element('p', {}, element('strong', {}, film.sentence)), element('p', { class: 'dim' }, film.evidence),
    element('p', { class: 'buttons' }, link('report.html', 'Report'), link('predictions.csv', 'CSV'), link('predictions.json', 'JSON')),
    ...film.fields.map(field => element('figure', {}, element('img', { src: `${at}/${field.picture}`, alt: `${field.name} with boxes and cards of its cells` }),
      element('figcaption', { class: 'dim' }, `${field.name}: ${pluralN(field.cells, 'cell')}, ${pluralN(field.leukocytes, 'leukocyte')}`))), report));
}

async function main() {
  const start = await ask('/api/start');
  limits = start.limits;
  byId('model').textContent = start.model;
  byId('limits').textContent = `At most ${pluralN(limits.images, 'image')}, ${limits.megabytes} MB together, ${limits.megapixels} megapixels each.`;
  byId('choose').addEventListener('change', event => { send(event.target.files); event.target.value = ''; });
  const drop = byId('drop');
  for (const kind of ['dragover', 'dragleave', 'drop']) document.addEventListener(kind, event => {
    event.preventDefault();
    drop.classList.toggle('over', kind === 'dragover');
    if (kind === 'drop') send(event.dataTransfer.files);
  });
  document.body.dataset.ready = 'yes';
}

main().catch(error => say(error.message));
