import { h, put, byId } from './dom.js';
import { t, explain } from './i18n.js';
import { mountHeader, mark } from './chrome.js';
import { api, playSlot, answerSlot } from './session.js';

mountHeader();
const pin = (new URLSearchParams(location.search).get('pin') ?? '').replace(/[^\w]/g, '').slice(0, 12);
const known = playSlot.get();
let title = '';

async function start() {
  if (!pin) {
    location.replace('/');
    return;
  }
  draw();
  try {
    const room = await api.call('GET', `/api/v1/pins/${encodeURIComponent(pin)}`, { anonymous: true });
    title = room.title ?? '';
    draw();
    if (room.locked && !(known && known.room === room.room)) say(t('error.room_locked'));
  } catch (error) {
    say(explain(error), error.code === 'unknown_room');
  }
}

function say(text, lost = false) {
  const fault = byId('fault');
  put(fault, text, lost && h('div', {}, h('a', { href: '/' }, t('join.otherPin'))));
  fault.hidden = false;
}

async function join(event) {
  event.preventDefault();
  const name = byId('name').value.trim();
  if (!name) return;
  const button = byId('go');
  byId('fault').hidden = true;
  button.disabled = true;
  try {
    const tokens = await api.obtainToken({ pin, name });
    playSlot.set({ ...tokens, name: tokens.name ?? name, pin });
    answerSlot.clear();
    location.assign('/play');
  } catch (error) {
    button.disabled = false;
    const byName = error.code === 'name_taken' || error.code === 'name_rejected';
    byId('name').setAttribute('aria-invalid', String(byName));
    say(explain(error), error.code === 'unknown_room');
    if (byName) byId('name').select();
  }
}

function draw() {
  document.title = t('join.title');
  const before = byId('name')?.value;
  const back = known && known.pin === pin;
  put(
    byId('main'),
    h(
      'div',
      { class: 'hero narrow' },
      mark('mark'),
      h('h1', {}, title || t('join.heading')),
      h('p', {}, h('span', { class: 'pill mono' }, `PIN ${pin}`)),
    ),
    back &&
      h(
        'div',
        { class: 'card narrow' },
        h('p', {}, t('join.backAs', { name: known.name })),
        h('a', { class: 'btn primary big wide', href: '/play' }, t('join.back')),
      ),
    h(
      'form',
      { class: 'card narrow', onsubmit: join },
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'name' }, t('join.name')),
        h('input', {
          type: 'text',
          id: 'name',
          maxlength: 32,
          required: true,
          autocomplete: 'nickname',
          autocapitalize: 'words',
          spellcheck: 'false',
          'aria-describedby': 'name-hint fault',
          value: before ?? '',
        }),
        h('span', { class: 'hint', id: 'name-hint' }, t('join.hint')),
      ),
      h('p', { class: 'fault', id: 'fault', role: 'alert', hidden: true }),
      h('button', { class: 'btn primary big wide', id: 'go', type: 'submit' }, t('join.go')),
    ),
  );
  if (!back && matchMedia('(pointer: fine)').matches) byId('name').focus();
}

document.addEventListener('language', draw);
start();
