import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, LecternError } from '../index.js';
import { FakeTimers, fakeSockets, settle } from './fakes.js';

function setUp(options = {}) {
  const timers = new FakeTimers();
  const { FakeSocket, sockets } = fakeSockets();
  const client = new Client({
    url: 'ws://test/ws',
    tokens: { accessToken: 'T1' },
    WebSocket: FakeSocket,
    timers,
    random: () => 0.5,
    ...options,
  });
  return {
    client,
    timers,
    sockets,
    get socket() {
      return sockets.at(-1);
    },
  };
}

const joinReply = (more = {}) => ({
  room: 'r',
  epoch: 'e',
  seq: 0,
  recovered: false,
  role: 'participant',
  snapshot: {},
  ...more,
});
const event = (seq, ev = 'x') => ({ ev, room: 'r', seq, ts: 1, data: seq });

async function joined(more) {
  const s = setUp();
  const room = s.client.join('r');
  const log = [];
  room.on('event', (e) => log.push(e.seq));
  s.client.connect();
  s.socket.open();
  s.socket.answer('room:join', joinReply(more));
  await settle();
  return Object.assign(s, { room, log });
}

test('the token goes into the subprotocol, a guest name into the address', () => {
  const s = setUp();
  s.client.connect();
  assert.deepEqual(s.socket.protocols, ['lectern.v1', 'bearer.T1']);
  const guest = setUp({ tokens: undefined, guestName: 'Ada L' });
  guest.client.connect();
  assert.equal(guest.socket.url, 'ws://test/ws?guest=Ada%20L');
  assert.deepEqual(guest.socket.protocols, ['lectern.v1']);
});

test('a reply finds its request, a refusal rejects with its code', async () => {
  const s = setUp();
  s.client.connect();
  s.socket.open();
  const good = s.client.request('a', { x: 1 });
  const bad = s.client.request('b');
  s.socket.refuse('b', { code: 'forbidden', message: 'no', retryAfterMs: 7 });
  s.socket.answer('a', 42);
  assert.equal(await good, 42);
  await assert.rejects(bad, (e) => e instanceof LecternError && e.code === 'forbidden' && e.retryAfterMs === 7);
  assert.equal(new Set(s.socket.sent.map((m) => m.id)).size, s.socket.sent.length);
});

test('a batch and single objects are taken alike; nonsense is left alone', async () => {
  const { room, socket, log } = await joined();
  const named = [];
  room.on('x', (data) => named.push(data));
  socket.say([event(1), event(2)], event(3), null, 7, [], ['a'], { re: 999, ok: true });
  socket.onmessage({ data: '{broken' });
  socket.onmessage({ data: new ArrayBuffer(2) });
  assert.deepEqual(log, [1, 2, 3]);
  assert.deepEqual(named, [1, 2, 3]);
});

test('events are taken once and in order; a gap is asked for', async () => {
  const { socket, log } = await joined();
  socket.say(event(1), event(1), event(2), event(5), event(6));
  assert.deepEqual(log, [1, 2]);
  const joins = socket.of('room:join');
  assert.equal(joins.length, 2);
  assert.deepEqual(joins[1].data, { epoch: 'e', since: 2 });
  socket.say(
    [
      { re: joins[1].id, ok: true, data: joinReply({ seq: 6, recovered: true }) },
      event(3),
      event(4),
      event(5),
      event(6),
    ],
    event(7),
  );
  assert.deepEqual(log, [1, 2, 3, 4, 5, 6, 7]);
});

test('events without a seq pass at any time', async () => {
  const { room, socket } = await joined();
  let count = 0;
  room.on('quiz:progress', () => count++);
  socket.say(event(3), { ev: 'quiz:progress', room: 'r', data: {} });
  assert.equal(count, 1);
});

test('after a lost connection the room resumes where it was', async () => {
  const s = await joined({ seq: 4 });
  s.socket.say(event(5));
  s.socket.drop();
  assert.equal(s.client.state, 'waiting');
  await s.timers.advance(1000);
  assert.equal(s.sockets.length, 2);
  s.socket.open();
  assert.deepEqual(s.socket.of('room:join')[0].data, { epoch: 'e', since: 5 });
  let resumed = 0;
  s.room.on('resumed', () => resumed++);
  s.socket.answer('room:join', joinReply({ seq: 6, recovered: true }));
  s.socket.say(event(6));
  assert.equal(resumed, 1);
  assert.deepEqual(s.log, [5, 6]);
});

test('another epoch starts over from the snapshot', async () => {
  const s = await joined({ seq: 9 });
  s.socket.drop(4000);
  await s.timers.advance(1000);
  s.socket.open();
  const shown = [];
  s.room.on('snapshot', (r) => shown.push(r.epoch));
  s.socket.answer('room:join', joinReply({ epoch: 'f', seq: 1 }));
  s.socket.say(event(2));
  assert.deepEqual(shown, ['f']);
  assert.deepEqual(s.log, [2]);
});

test('a request with a key survives the connection and is sent again with the same key', async () => {
  const s = await joined();
  const answer = s.room.request('quiz:answer', { question: 1, answer: '0', key: 'K' });
  const plain = s.room.request('chat:typing', {});
  s.socket.drop();
  await assert.rejects(plain, { code: 'disconnected' });
  const offline = s.room.request('chat:send', { text: 'later', key: 'L' });
  await assert.rejects(s.room.request('quiz:state'), { code: 'disconnected' });
  await s.timers.advance(1000);
  s.socket.open();
  assert.equal(s.socket.of('quiz:answer').length, 0, 'not before the room is joined');
  s.socket.answer('room:join', joinReply({ recovered: true }));
  await settle();
  assert.deepEqual(
    s.socket.of('quiz:answer').map((m) => m.data.key),
    ['K'],
  );
  s.socket.answer('quiz:answer', { receipt: 'R' });
  s.socket.answer('chat:send', { id: 'm' });
  assert.deepEqual(await answer, { receipt: 'R' });
  assert.deepEqual(await offline, { id: 'm' });
});

test('a kept request is tried again when the server could not save it, and only then', async () => {
  const s = await joined();
  const answer = s.room.request('quiz:answer', { key: 'K' });
  s.socket.refuse('quiz:answer', { code: 'unavailable', message: '', retryAfterMs: 3000 });
  await s.timers.advance(2900);
  assert.equal(s.socket.of('quiz:answer').length, 1);
  await s.timers.advance(700);
  assert.equal(s.socket.of('quiz:answer').length, 2);
  s.socket.refuse('quiz:answer', { code: 'question_closed', message: '' });
  await assert.rejects(answer, { code: 'question_closed' });
});

test('not_member of a kept request joins again and then sends it', async () => {
  const s = await joined();
  s.room.request('quiz:answer', { key: 'K' });
  s.socket.refuse('quiz:answer', { code: 'not_member', message: '' });
  assert.equal(s.socket.of('room:join').length, 2);
  s.socket.answer('room:join', joinReply({ recovered: true }));
  await settle();
  assert.equal(s.socket.of('quiz:answer').length, 2);
  await s.timers.advance(3000);
  assert.equal(s.socket.of('quiz:answer').length, 2, 'sent once, not once more by the timer');
});

test('banned people are told and not brought back', async () => {
  const s = await joined();
  const seen = [];
  s.client.on('stopped', (why) => seen.push(why));
  s.socket.drop(4200, 'banned');
  await s.timers.advance(600_000);
  assert.equal(s.sockets.length, 1);
  assert.deepEqual(seen, [{ code: 4200, reason: 'banned' }]);
});

test('4100 to 4199 wait as long as they were told', async () => {
  const s = await joined();
  s.socket.drop(4100, '{"retryAfterMs":8000}');
  await s.timers.advance(7999);
  assert.equal(s.sockets.length, 1);
  await s.timers.advance(2001);
  assert.equal(s.sockets.length, 2);
});

test('the token is renewed before its end, on the open connection', async () => {
  let renewals = 0;
  const s = setUp({
    tokens: { accessToken: 'T1', refreshToken: 'R1', expiresAt: 1_000_000 + 900_000 },
    renew: async (old) => {
      renewals++;
      assert.equal(old.refreshToken, 'R1');
      return { accessToken: 'T2', refreshToken: 'R2', expiresAt: 1_000_000 + 1_800_000 };
    },
    heartbeatMs: 2 ** 30,
  });
  const told = [];
  s.client.on('tokens', (t) => told.push(t.accessToken));
  s.client.connect();
  s.socket.open();
  while (s.socket.of('time:sync').length < 5) {
    s.socket.answer('time:sync', { t1: s.timers.time, t2: s.timers.time });
    await settle();
  }
  s.socket.answer('time:sync', { t1: s.timers.time, t2: s.timers.time });
  await s.timers.advance(719_000);
  assert.equal(renewals, 0);
  await s.timers.advance(2_000);
  assert.equal(renewals, 1);
  assert.deepEqual(
    s.socket.of('auth').map((m) => m.data),
    [{ token: 'T2' }],
  );
  assert.deepEqual(told, ['T2']);
  assert.equal(s.client.state, 'open');
});

test('4002 renews the token and comes back with the new one', async () => {
  const s = setUp({
    tokens: { accessToken: 'T1', refreshToken: 'R1' },
    renew: async () => ({ accessToken: 'T2', refreshToken: 'R2' }),
  });
  s.client.connect();
  s.socket.open();
  s.socket.drop(4002);
  await s.timers.advance(10);
  assert.deepEqual(s.socket.protocols, ['lectern.v1', 'bearer.T2']);
});

test('a refused renewal stops the client; a server that is away does not', async () => {
  const failing = (error) =>
    setUp({
      tokens: { accessToken: 'T1', refreshToken: 'R1' },
      renew: async () => {
        throw error;
      },
    });
  const refused = failing(new LecternError('invalid_token', 'no', { status: 401 }));
  refused.client.connect();
  refused.socket.drop(4002);
  await refused.timers.advance(10);
  assert.equal(refused.client.state, 'stopped');

  const away = failing(new LecternError('network', 'away'));
  away.client.connect();
  away.socket.drop(4002);
  await away.timers.advance(10_000);
  assert.equal(away.client.state, 'waiting');
});

test('a connection that does not answer is given up', async () => {
  const s = await joined();
  await s.timers.advance(6_000);
  assert.equal(s.client.state === 'open', false);
  assert.equal(s.sockets[0].closed !== null, true);
});

test('a handshake that hangs is given up, too', async () => {
  const s = setUp();
  s.client.connect();
  await s.timers.advance(11_500);
  assert.equal(s.sockets.length, 2);
});

test('a socket that was given up is not listened to any more', async () => {
  const s = await joined();
  const old = s.socket;
  old.drop();
  await s.timers.advance(1000);
  s.socket.open();
  old.say(event(1));
  old.drop(4200);
  assert.deepEqual(s.log, []);
  assert.equal(s.client.state, 'open');
});

test('wake tries at once', async () => {
  const s = await joined();
  s.socket.drop(4100, '60000');
  s.client.wake();
  assert.equal(s.sockets.length, 2);
  await s.timers.advance(5000);
  assert.equal(s.sockets.length, 2, 'the timer of the earlier plan is gone');
});

test('close ends it all', async () => {
  const s = await joined();
  const kept = s.room.request('quiz:answer', { key: 'K' });
  s.client.close();
  await assert.rejects(kept, { code: 'closed' });
  assert.equal(s.socket.closed, 1000);
  await s.timers.advance(600_000);
  assert.equal(s.sockets.length, 1);
});

test('a join that the server refuses for good is told to the room', async () => {
  const s = setUp();
  const room = s.client.join('r');
  const told = [];
  room.on('refused', (e) => told.push(e.code));
  s.client.connect();
  s.socket.open();
  s.socket.refuse('room:join', { code: 'room_locked', message: '' });
  await settle();
  assert.deepEqual(told, ['room_locked']);
});

test('a handler that throws does not stop the others', async (t) => {
  const { room, socket, log } = await joined();
  t.mock.method(console, 'error', () => {});
  room.on('x', () => {
    throw new Error('mine');
  });
  socket.say(event(1), event(2));
  assert.deepEqual(log, [1, 2]);
});

test('the queue of what is kept is bounded, and those in it keep their places', async () => {
  const s = setUp({ queueMax: 2 });
  s.client.connect(); // not open yet
  const kept = [1, 2].map((n) => s.client.request('a', { key: `k${n}` }));
  await assert.rejects(s.client.request('a', { key: 'k3' }), (e) => e.code === 'queue_full');
  assert.equal(s.client.kept(), 2);
  s.socket.open();
  for (const m of s.socket.of('a')) s.socket.say({ re: m.id, ok: true, data: m.data.key });
  assert.deepEqual(await Promise.all(kept), ['k1', 'k2']);
  const again = s.client.request('a', { key: 'k4' });
  s.socket.answer('a', 4);
  assert.equal(await again, 4);
});

test('after the end nothing is kept any more', async () => {
  const s = setUp();
  s.client.connect();
  s.client.close();
  await assert.rejects(s.client.request('a', { key: 'k' }), (e) => e.code === 'closed');
  assert.equal(s.client.kept(), 0);
});

test('where there is no WebSocket the client says how to bring one', () => {
  const global = globalThis.WebSocket;
  delete globalThis.WebSocket;
  try {
    assert.throws(() => new Client({ url: 'ws://x/ws' }), /import WebSocket from 'ws'/);
  } finally {
    if (global) globalThis.WebSocket = global;
  }
});
