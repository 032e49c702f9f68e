import { h, put, byId, announce, openDialog, typing } from './dom.js';
import { t } from './i18n.js';
import { mountHeader } from './chrome.js';
import { api, socketURL } from './session.js';
import { fieldsOf, skeletonOf, textOf, valueOf } from './console-schema.js';
import * as log from './console-log.js';

mountHeader();

const state = {
  dev: true,
  way: 'guest',
  name: 'Ada',
  token: '',
  link: 'closed', // connecting | open
  index: null,
  op: 'room:join',
  request: null, // the op's schema
  room: '',
  text: '{}',
  fault: null, // the newest refusal of this op
};
let socket;
let lastId = 0;
const waiting = new Map(); // id → {op, sentAt}

async function load() {
  draw();
  try {
    const [index, config] = await Promise.all([api.call('GET', '/schemas/', { anonymous: true }), api.call('GET', '/api/v1/config')]);
    state.index = index;
    state.dev = config.dev;
    if (!config.dev) state.way = 'token';
    if (config.demo) state.room = config.demo.pin;
    await choose(state.op);
  } catch (error) {
    put(byId('main'), h('p', { class: 'fault', role: 'alert' }, t('console.noSchemas', { message: error.message })));
  }
}

/** Takes another op: its schema is fetched, and a first data is written. */
async function choose(op) {
  const known = state.index.ops.find((o) => o.op === op);
  state.op = op;
  state.fault = null;
  state.request = await api.call('GET', `/schemas/${known.request}`, { anonymous: true });
  if (state.op !== op) return; // another one was chosen meanwhile
  state.text = known.data ? JSON.stringify(skeletonOf(op, state.request), null, 2) : '';
  draw();
}

function connect() {
  disconnect();
  let address = socketURL();
  const protocols = ['lectern.v1'];
  if (state.way === 'token') protocols.push(`bearer.${state.token.trim()}`);
  else address += `?guest=${encodeURIComponent(state.name)}`;
  try {
    socket = new WebSocket(address, protocols);
  } catch (error) {
    log.add({ kind: 'note', what: t('console.closed'), gist: error.message, good: false }); // a token with odd characters
    return;
  }
  const mine = socket;
  become('connecting');
  socket.onopen = () => mine === socket && become('open');
  socket.onmessage = ({ data }) => mine === socket && received(data);
  socket.onclose = ({ code, reason }) => {
    if (mine !== socket) return;
    waiting.clear();
    log.add({ kind: 'note', what: `${t('console.closed')} ${code}`, gist: reason || meaning(code), good: code === 1000 });
    become('closed');
  };
}

function meaning(code) {
  if (code === 1006) return t('console.close1006');
  return code === 1000 ? '' : t('console.closeSee');
}

function disconnect() {
  socket?.close(1000);
}

function become(link) {
  state.link = link;
  if (link === 'open') {
    lastId = 0;
    log.add({ kind: 'note', what: t('console.opened'), gist: state.way === 'guest' ? state.name : '' });
  }
  const pill = byId('link');
  pill.textContent = linkText();
  pill.className = `pill ${link === 'open' ? 'good' : link === 'closed' ? '' : 'warn'}`;
  byId('connect').textContent = link === 'closed' ? t('console.connect') : t('console.disconnect');
  byId('send').disabled = link !== 'open';
  announce(linkText());
}

const linkText = () => ({ closed: t('console.isClosed'), connecting: t('console.isConnecting'), open: t('console.isOpen') })[state.link];

function received(text) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    log.add({ kind: 'note', what: text.slice(0, 200), good: false });
    return;
  }
  for (const message of [frame].flat()) take(message);
}

function take(message) {
  if (message.ev) {
    const seq = message.seq ? `#${message.seq} ` : '';
    log.add({ kind: 'event', what: message.ev, gist: `${seq}${gistOf(message.data)}`, json: message });
    return;
  }
  const asked = waiting.get(message.re);
  waiting.delete(message.re);
  const what = `${asked?.op ?? ''} ${message.re ?? '–'}`;
  const ms = asked && Math.round(performance.now() - asked.at);
  if (message.ok) {
    if (asked?.op === 'room:join') remember(message.data.room);
    if (asked?.op === 'quiz:create') remember(message.data.room);
    log.add({ kind: 'reply', what, gist: gistOf(message.data), good: true, json: message, ms });
    if (asked?.op === state.op) showFault(null);
    announce(t('console.saysOk', { op: what }));
    return;
  }
  const { code, pointer, rule } = message.error ?? {};
  const gist = [code, pointer && t('console.at', { pointer }), rule].filter(Boolean).join(' · ');
  log.add({ kind: 'reply', what, gist, good: false, json: message, ms });
  announce(`${what}: ${gist}`);
  if (!asked || asked.op === state.op) showFault(message.error);
}

const gistOf = (data) => (data === undefined ? '' : JSON.stringify(data).slice(0, 90));

function remember(room) {
  state.room = room;
  const input = byId('room');
  if (input) input.value = room;
}

function send(event) {
  event?.preventDefault();
  if (state.link !== 'open') {
    announce(t('console.isClosed'));
    byId('connect').focus();
    return;
  }
  const message = { id: ++lastId, op: state.op };
  if (state.room.trim()) message.room = state.room.trim();
  if (state.text.trim()) {
    try {
      message.data = JSON.parse(state.text);
    } catch (error) {
      lastId--;
      showFault({ code: 'bad_json', message: error.message, pointer: '/data' });
      byId('json').focus();
      return;
    }
  }
  waiting.set(message.id, { op: state.op, at: performance.now() });
  socket.send(JSON.stringify(message));
  log.add({ kind: 'sent', what: `${message.op} ${message.id}`, gist: gistOf(message.data), json: message });
  renewKey();
}

/** A key belongs to one act: the next one gets another. */
function renewKey() {
  let data;
  try {
    data = JSON.parse(state.text);
  } catch {
    return;
  }
  if (typeof data?.key !== 'string' || !/^[0-9a-f]{32}$/.test(data.key)) return; // somebody's own key stays
  data.key = skeletonOf(state.op, state.request).key;
  state.text = JSON.stringify(data, null, 2);
  byId('json').value = state.text;
  fillForm();
}

/** Shows a refusal where its pointer says the fault is. */
function showFault(error) {
  state.fault = error;
  for (const el of document.querySelectorAll('[aria-invalid]')) el.removeAttribute('aria-invalid');
  for (const el of document.querySelectorAll('.why')) el.remove();
  const box = byId('fault');
  box.hidden = !error;
  if (!error) return;
  put(box, `${error.code}: ${error.message}`, error.pointer && h('span', { class: 'mono' }, ` ${error.pointer}`));
  const [, root, member] = (error.pointer ?? '').split('/');
  const control = root === 'data' ? (byId(`field-${member}`) ?? byId('json')) : root === 'room' ? byId('room') : null;
  control?.setAttribute('aria-invalid', 'true');
  if (control && control.id !== 'json') control.after(h('span', { class: 'why' }, error.rule ?? error.code));
}

const current = () => {
  try {
    return JSON.parse(state.text || '{}');
  } catch {
    return null;
  }
};

function fillForm() {
  const data = current();
  if (!data || typeof data !== 'object') return;
  for (const field of fieldsOf(state.request)) {
    const control = byId(`field-${field.name}`);
    if (control && control !== document.activeElement) control.value = textOf(field, data[field.name]);
  }
}

function fieldView(field, data) {
  const id = `field-${field.name}`;
  const attrs = {
    id,
    value: textOf(field, data?.[field.name]),
    autocomplete: 'off',
    'aria-describedby': field.about || field.limits ? `${id}-about` : undefined,
    oninput: (event) => {
      const next = current() ?? {};
      const value = valueOf(field, event.target.value);
      if (value === undefined) delete next[field.name];
      else next[field.name] = value;
      state.text = JSON.stringify(next, null, 2);
      byId('json').value = state.text;
    },
  };
  let control;
  if (field.kind === 'choice' || field.kind === 'tick') {
    const choices = field.kind === 'tick' ? ['true', 'false'] : field.choices;
    control = h('select', attrs, h('option', { value: '' }, '–'), choices.map((c) => h('option', { value: c }, c)));
    control.value = attrs.value;
  } else if (field.kind === 'text') {
    control = h('textarea', { ...attrs, rows: 2 });
  } else {
    control = h('input', { ...attrs, type: 'text', inputmode: field.kind === 'number' ? 'decimal' : undefined });
  }
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id, class: field.needed ? 'needed mono' : 'mono' }, field.name),
    control,
    attrs['aria-describedby'] &&
      h('span', { class: 'hint', id: `${id}-about` }, [field.about, field.limits].filter(Boolean).join(' · ')),
  );
}

function connectView() {
  const byToken = state.way === 'token';
  const pick = (way, label) =>
    h(
      'label',
      { class: 'tick' },
      h('input', {
        type: 'radio',
        name: 'way',
        checked: state.way === way,
        disabled: way === 'guest' && !state.dev,
        onchange: () => {
          state.way = way;
          draw();
          byId('who').focus();
        },
      }),
      label,
    );
  return h(
    'section',
    { class: 'card', 'aria-label': t('console.connection') },
    h('div', { class: 'row between' }, h('h2', {}, t('console.connection')), h('span', { id: 'link', class: 'pill' }, linkText())),
    h('div', { class: 'row', role: 'radiogroup' }, pick('guest', t('console.guest')), pick('token', t('console.token'))),
    !state.dev && h('p', { class: 'small muted' }, t('console.noGuests')),
    h(
      'form',
      {
        class: 'row',
        onsubmit: (event) => {
          event.preventDefault();
          if (state.link === 'closed') connect();
          else disconnect();
        },
      },
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'who' }, byToken ? t('console.token') : t('console.name')),
        h('input', {
          id: 'who',
          type: 'text',
          autocomplete: 'off',
          spellcheck: 'false',
          value: byToken ? state.token : state.name,
          oninput: (event) => (state[byToken ? 'token' : 'name'] = event.target.value),
        }),
      ),
      h('button', { id: 'connect', class: 'btn primary', type: 'submit' }),
    ),
  );
}

function messageView() {
  if (!state.request) return h('p', { class: 'wait' }, 'Lectern …');
  const known = state.index.ops.find((o) => o.op === state.op);
  const groups = Map.groupBy ? Map.groupBy(state.index.ops, (o) => o.op.split(':')[0]) : grouped(state.index.ops);
  const options = [...groups].map(([name, ops]) =>
    h('optgroup', { label: name }, ops.map((o) => h('option', { value: o.op }, `${o.op} – ${o.summary}`))),
  );
  const select = h('select', { id: 'op', onchange: (event) => choose(event.target.value).then(() => byId('op').focus()) }, options);
  select.value = state.op;
  const fields = known.data ? fieldsOf(state.request) : [];
  return h(
    'form',
    { class: 'card', onsubmit: send, 'aria-label': t('console.message') },
    h('h2', {}, t('console.message')),
    h('div', { class: 'field' }, h('label', { for: 'op' }, t('console.op')), select),
    h(
      'div',
      { class: 'field' },
      h('label', { for: 'room' }, t('console.room')),
      h('input', { id: 'room', type: 'text', autocomplete: 'off', value: state.room, oninput: (e) => (state.room = e.target.value) }),
      h('span', { class: 'hint' }, t('console.roomHint')),
    ),
    h('p', { id: 'fault', class: 'fault', role: 'alert', hidden: true }),
    fields.length > 0 && h('fieldset', { class: 'console-form' }, fields.map((f) => fieldView(f, current()))),
    h(
      'div',
      { class: 'field' },
      h('label', { for: 'json' }, t('console.data')),
      h('textarea', {
        id: 'json',
        class: 'console-json',
        spellcheck: 'false',
        rows: Math.min(16, state.text.split('\n').length + 1),
        value: state.text,
        oninput: (event) => {
          state.text = event.target.value;
          fillForm();
        },
      }),
      !known.data && h('span', { class: 'hint' }, t('console.noData')),
    ),
    h(
      'div',
      { class: 'row' },
      h('button', { id: 'send', class: 'btn primary', type: 'submit', disabled: state.link !== 'open' }, t('console.send')),
      h('a', { class: 'btn quiet', href: `/schemas/${known.request}`, target: '_blank', rel: 'noopener' }, t('console.schema')),
    ),
  );
}

function grouped(ops) {
  const groups = new Map();
  for (const o of ops) {
    const name = o.op.split(':')[0];
    groups.set(name, [...(groups.get(name) ?? []), o]);
  }
  return groups;
}

function logView() {
  const tick = (kind, label) =>
    h(
      'label',
      { class: 'tick' },
      h('input', {
        type: 'checkbox',
        checked: log.filter[kind],
        onchange: (event) => {
          log.filter[kind] = event.target.checked;
          log.redraw();
        },
      }),
      label,
    );
  return h(
    'section',
    { class: 'card', 'aria-label': t('console.log') },
    h(
      'div',
      { class: 'row between' },
      h('h2', {}, t('console.log')),
      h('span', { id: 'log-count', class: 'small muted num' }),
      h('button', { class: 'btn quiet', type: 'button', onclick: keys }, t('console.keys'), ' ', h('kbd', {}, '?')),
    ),
    h(
      'div',
      { class: 'row' },
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'filter' }, t('console.filter')),
        h('input', {
          id: 'filter',
          type: 'text',
          autocomplete: 'off',
          value: log.filter.text,
          oninput: (event) => {
            log.filter.text = event.target.value;
            log.redraw();
          },
        }),
      ),
      tick('sent', t('console.sent')),
      tick('reply', t('console.reply')),
      tick('event', t('console.event')),
    ),
    h('ol', { id: 'log', class: 'console-log', tabindex: 0, 'aria-label': t('console.log'), 'data-empty': t('console.empty') }),
    h(
      'div',
      { class: 'row' },
      h('button', { class: 'btn', type: 'button', onclick: log.copyAll }, t('console.copyAll')),
      h('button', { class: 'btn', type: 'button', onclick: log.clear }, t('console.clear')),
    ),
  );
}

function keys() {
  const rows = [
    ['Ctrl + Enter', t('console.send')],
    ['o', t('console.op')],
    ['d', t('console.data')],
    ['/', t('console.filter')],
    ['?', t('console.keys')],
  ];
  const dialog = openDialog(
    t('console.keys'),
    h('h2', {}, t('console.keys')),
    h('dl', { class: 'console-keys' }, rows.map(([key, what]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, what)])),
    h('button', { class: 'btn primary', type: 'button', onclick: () => dialog.close() }, t('app.close')),
  );
}

function draw() {
  document.title = t('console.title');
  put(
    byId('main'),
    h('h1', {}, t('console.heading')),
    h('p', { class: 'muted' }, t('console.sub')),
    h('div', { class: 'console-panes' }, h('div', {}, connectView(), messageView()), logView()),
  );
  const pill = byId('link');
  pill.className = `pill ${state.link === 'open' ? 'good' : ''}`;
  byId('connect').textContent = state.link === 'closed' ? t('console.connect') : t('console.disconnect');
  log.redraw();
  if (state.fault) showFault(state.fault);
}

document.addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === 'Enter') {
    send(event);
    return;
  }
  if (typing(event)) return;
  const target = { o: 'op', d: 'json', '/': 'filter' }[event.key];
  if (target && byId(target)) {
    event.preventDefault();
    byId(target).focus();
  } else if (event.key === '?') keys();
});
document.addEventListener('language', draw);
load();
