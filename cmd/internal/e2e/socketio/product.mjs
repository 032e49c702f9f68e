// socket.io-client against the product: signing in, acks, ends, and coming back to the same state, also after the server
// has been killed.
import { check, done, input, need, one, pause, require, until } from './check.mjs';

const { io } = require('socket.io-client');
const msgpack = require('socket.io-msgpack-parser');
const { base } = input;

const kinds = {
  'by default': {}, 'over websocket': { transports: ['websocket'] }, 'over polling': { transports: ['polling'] },
  'in msgpack': { parser: msgpack },
};
const ask = (socket, ...args) => socket.timeout(10_000).emitWithAck(...args);

function open(auth, options = {}) {
  // The certificate of a proxy in between is the test's own.
  const socket = io(base, { auth, forceNew: true, rejectUnauthorized: false, reconnectionDelay: 50, reconnectionDelayMax: 200, ...options });
  socket.heard = [];
  socket.onAny((event, data, meta) => {
    if (event === 'bench:n') socket.heard.push([data, meta.room]);
  });
  return socket;
}

async function connected(auth, options) {
  const socket = open(auth, options);
  await one(socket, 'connect');
  return socket;
}

const publish = async (socket, room, n) => check(`publishing ${n}`, (await ask(socket, 'room:publish',
  { room, event: 'bench:n', payload: n })).ok, true);

async function signingIn() {
  const bad = open({ token: 'nonsense' });
  const [e] = await one(bad, 'connect_error');
  check('a bad token', [e.data.code, typeof e.message, bad.active], ['invalid_token', 'string', false]);
  bad.close();
  const later = await connected({});
  check('not signed in', (await ask(later, 'room:join', 'r')).error.code, 'auth_required');
  check('signed in later', (await ask(later, 'auth', { name: 'Late' })).data.name, 'Late');
  check('a join by name', (await ask(later, 'room:join', 'later')).ok, true);
  check('the room is known', (await ask(later, 'room:presence', { mode: 'count' })).data.count, 1);
  const denied = new Promise((resolve) => later.once('error', resolve));
  later.emit('quiz:next', { room: 'later' });
  check('refused without an ack', (await denied).code, 'forbidden');
  for (const [args, code] of [[['no:op'], 'unknown_op'], [['chat:send', 5], 'invalid_data'], [['room:join', 'a b'], 'bad_message'],
    [['chat:send', { text: Buffer.from('x') }], 'invalid_data'], [['__proto__', {}], 'unknown_op']]) {
    check(`refusal of ${args}`, (await ask(later, ...args)).error.code, code);
  }
  later.close();
  const other = io(`${base}/admin`, { forceNew: true, reconnection: false, rejectUnauthorized: false });
  check('another namespace', (await one(other, 'connect_error'))[0].message, 'Invalid namespace');
  other.close();
}

async function comingBack(label, options) {
  const name = (what) => `${label}: ${what}`;
  const rooms = [`back-${label.replaceAll(' ', '-')}`, `back-too-${label.replaceAll(' ', '-')}`];
  const writer = await connected({ name: 'Writer' });
  const reader = await connected({ name: 'Reader' }, options);
  for (const room of rooms) {
    await ask(writer, 'room:join', room);
    await ask(reader, 'room:join', room);
  }
  await publish(writer, rooms[0], 1);
  await until('the first', () => reader.heard.length === 1);
  const { id } = reader;
  const user = (await ask(reader, 'auth')).data.user;
  for (let round = 0; round < 3; round++) {
    const first = reader.heard.length;
    reader.io.engine.close(); // as if the line were cut
    const back = one(reader, 'connect');
    for (let i = 0; i < 6; i++) await publish(writer, rooms[i % 2], 10 * round + i);
    await back;
    check(name('recovered'), [reader.recovered, reader.id], [true, id]);
    await publish(writer, rooms[0], 'live');
    await until('all that was missed', () => reader.heard.length >= first + 7);
    const heard = reader.heard.slice(first);
    for (const room of rooms) { // in order within each room, nothing twice
      check(name(`what was missed in ${room}`), heard.filter((h) => h[1] === room).map((h) => h[0]),
        [0, 1, 2, 3, 4, 5].filter((i) => rooms[i % 2] === room).map((i) => 10 * round + i)
          .concat(room === rooms[0] ? ['live'] : []));
    }
    check(name('the same user'), (await ask(reader, 'auth')).data.user, user);
  }
  // Further back than the room remembers: it begins anew, and hears nothing before it has joined again.
  await ask(reader, 'room:leave', { room: rooms[1] });
  reader.io.reconnection(false);
  reader.io.engine.close();
  for (let i = 0; i < 600; i++) await publish(writer, rooms[0], `flood ${i}`);
  const before = reader.heard.length;
  reader.connect();
  await one(reader, 'connect');
  check(name('too far back'), [reader.recovered, reader.id === id], [false, false]);
  await publish(writer, rooms[0], 'unheard');
  await pause(200);
  check(name('in no room'), reader.heard.length, before);
  check(name('joins again'), (await ask(reader, 'room:join', rooms[0])).data.recovered, false);
  reader.close();
  writer.close();
}

async function restart() {
  const readers = [];
  const writer = await connected({ name: 'Writer' });
  await ask(writer, 'room:join', 'restart');
  for (const [label, options] of Object.entries(kinds)) {
    const reader = await connected({ name: `Reader ${label}` }, options);
    await ask(reader, 'room:join', 'restart');
    readers.push({ label, reader, id: reader.id });
  }
  await publish(writer, 'restart', 'before');
  for (const { reader } of readers) await until('the one before', () => reader.heard.length === 1);
  const lost = readers.map(({ reader }) => one(reader, 'disconnect'));
  await need('kill');
  for (const [i, [why]] of (await Promise.all(lost)).entries()) {
    check(`${readers[i].label}: the end`, ['transport close', 'transport error', 'ping timeout'].includes(why), true);
  }
  const back = readers.map(({ reader }) => one(reader, 'connect'));
  await need('restart');
  await Promise.all(back);
  if (!writer.connected) await one(writer, 'connect');
  check('the writer', writer.recovered, true);
  await publish(writer, 'restart', 'after');
  for (const { label, reader, id } of readers) {
    await until(`${label}: the one after`, () => reader.heard.length >= 2);
    check(`${label}: after a restart`, [reader.recovered, reader.id, reader.heard.map((h) => h[0])], [true, id, ['before', 'after']]);
    reader.close();
  }
  writer.close();
}

async function ends() {
  const host = await connected({ name: 'Host' });
  const made = await ask(host, 'quiz:create', {
    quiz: { title: 'T', questions: [{ type: 'true_false', text: 'x', correct: true, timeLimitMs: 20_000 }] },
  });
  for (const [label, options] of Object.entries(kinds)) {
    const name = `Guest ${label}`.slice(0, 30);
    const guest = await connected({ name }, options);
    await ask(guest, 'room:join', made.data.pin);
    const user = (await ask(guest, 'auth')).data.user;
    const words = one(guest, 'session:close'), kicked = one(guest, 'room:kicked'), over = one(guest, 'disconnect');
    check(`${label}: kicking`, (await ask(host, 'mod:kick', { room: made.data.room, user })).ok, true);
    await kicked;
    check(`${label}: last words`, (await words)[0].code, 4202);
    check(`${label}: why`, [(await over)[0], guest.active], ['io server disconnect', false]);
  }
  host.close();
}

await signingIn();
for (const [label, options] of Object.entries(kinds)) await comingBack(label, options);
await ends();
await restart();
done();
