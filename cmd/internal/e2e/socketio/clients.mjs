// The official clients, of Engine.IO and of Socket.IO with both parsers, against lectern conformance.
import { check, done, input, one, pause, require } from './check.mjs';

const engine = require('engine.io-client');
const { io } = require('socket.io-client');
const msgpack = require('socket.io-msgpack-parser');

const { base } = input;

async function engineIO(transports, upgrades) {
  const name = (what) => `engine.io-client ${transports} ${what}`;
  const socket = new engine.Socket(base, { path: '/engine.io/', transports });
  socket.binaryType = 'arraybuffer';
  const heard = [];
  let upgraded = false;
  socket.on('upgrade', () => { upgraded = true; });
  socket.on('message', (m) => heard.push(typeof m === 'string' ? m : [...new Uint8Array(m)]));
  const sent = [];
  const send = (m) => {
    sent.push(typeof m === 'string' ? m : [...m]);
    socket.send(m);
  };
  await one(socket, 'open');
  // Without a pause through the upgrade: nothing may be lost, doubled or out of order.
  for (let i = 0; i < 150; i++) {
    send(i % 3 === 2 ? Uint8Array.from([i & 255, 1, 2]) : `message ${i} € 😀`);
    if (i % 10 === 0) await pause(3);
  }
  for (const end = Date.now() + 5000; heard.length < sent.length && Date.now() < end;) await pause(5);
  check(name('echo'), heard, sent);
  check(name('upgraded'), [upgraded, socket.transport.name], [upgrades, upgrades ? 'websocket' : transports[0]]);
  await pause(900); // past several heartbeats
  check(name('alive'), socket.readyState, 'open');
  const closed = one(socket, 'close');
  socket.close();
  check(name('close'), (await closed)[0], 'forced close');
}

// random makes a value of JSON, with bytes here and there if binary.
function random(depth, binary) {
  const pick = (n) => Math.floor(Math.random() * n);
  switch (pick(depth > 3 ? 7 : 9)) {
    case 0: return null;
    case 1: return pick(2) === 0;
    case 2: return pick(2 ** 31) - 2 ** 30;
    case 3: return (Math.random() - 0.5) * 10 ** (pick(40) - 20);
    case 4: return ['', 'a', 'é', '\u2028 \u0000"\\', '😀', 'x'.repeat(pick(400))][pick(6)];
    case 5: return Number.MAX_SAFE_INTEGER - pick(1000);
    case 6: return binary ? Buffer.from(Array.from({ length: pick(300) }, () => pick(256))) : 'no bytes';
    case 7: return Array.from({ length: pick(5) }, () => random(depth + 1, binary));
    default: return Object.fromEntries(
      Array.from({ length: pick(20) }, (_, i) => [`k${i}${'é'.repeat(pick(3))}`, random(depth + 1, binary)]));
  }
}

// plain makes values comparable as JSON: whatever holds bytes becomes a list of numbers.
function plain(v) {
  if (v instanceof ArrayBuffer || ArrayBuffer.isView(v)) {
    return { bytes: [...(v instanceof ArrayBuffer ? new Uint8Array(v) : new Uint8Array(v.buffer, v.byteOffset, v.byteLength))] };
  }
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
  return v;
}

const count = (v) => (v && typeof v === 'object'
  ? (v instanceof Buffer ? 1 : Object.values(v).reduce((n, x) => n + count(x), 0)) : 0);

async function socketIO(label, options) {
  const name = (what) => `socket.io-client ${label} ${what}`;
  const open = (namespace, more) => io(base + namespace, { forceNew: true, reconnection: false, ...options, ...more });
  const socket = open('/', { auth: { token: 'é' } });
  check(name('auth'), (await one(socket, 'auth'))[0], { token: 'é' });
  check(name('id'), typeof socket.id, 'string');

  socket.emit('message', 1, '2', { 3: [true] }, Buffer.from([7, 8]));
  check(name('message'), plain(await one(socket, 'message-back')), [1, '2', { 3: [true] }, { bytes: [7, 8] }]);
  for (let i = 0; i < 150; i++) {
    const args = Array.from({ length: 1 + i % 3 }, () => random(0, i % 2 === 1));
    if (count(args) > 10) continue;
    const back = await socket.timeout(5000).emitWithAck('message-with-ack', ...args);
    check(name(`value ${i}`), plain(back), plain(args[0]));
  }
  let late;
  await socket.timeout(50).emitWithAck('nobody-answers', 1).catch((e) => { late = e.message; });
  check(name('a timeout'), late, 'operation has timed out');

  // What the client's own tests ask of their server.
  const asks = async (event, answer, ...args) => {
    const came = one(socket, answer);
    socket.emit(event, ...args);
    return plain(await came);
  };
  check(name('false'), await asks('false', 'false'), [false]);
  check(name('bytes'), await asks('doge', 'doge'), [{ bytes: [...Buffer.from('asdfasdf')] }]);
  check(name('bytes in an object'), await asks('jsonbuff', 'jsonbuff-ack',
    { hello: 'lol', message: Buffer.from('howdy'), goodbye: 'gotcha' }), []);
  socket.emit('abuff1', Buffer.from('first'));
  check(name('bytes in order'), await asks('abuff2', 'abuff2-ack', 'please arrive second'), []);
  check(name('text'), await asks('getUtf8', 'takeUtf8'), ['てすと']);
  socket.once('ack', (answer) => answer(5, { test: true }));
  check(name('an ack of ours'), await asks('ack', 'got it'), []);
  check(name('our id'), await socket.timeout(5000).emitWithAck('getId'), socket.id);
  const refusedAtAll = io(`${base}/?fail=true`, { forceNew: true, reconnection: false, ...options });
  check(name('refused'), (await one(refusedAtAll, 'connect_error'))[0].message, 'Auth failed (main namespace)');
  refusedAtAll.close();

  const custom = socket.io.socket('/custom', { auth: { token: 'other' } });
  custom.open();
  check(name('a namespace'), (await one(custom, 'auth'))[0], { token: 'other' });
  const dynamic = socket.io.socket('/dynamic-101');
  dynamic.open();
  check(name('a dynamic namespace'), (await one(dynamic, 'auth'))[0], {});
  check(name('ids differ'), new Set([socket.id, custom.id, dynamic.id]).size, 3);
  const unknown = socket.io.socket('/unknown');
  unknown.open();
  const [refused] = await one(unknown, 'connect_error');
  check(name('an unknown namespace'), [refused.message, refused.data], ['Invalid namespace', undefined]);
  const gone = one(custom, 'disconnect');
  custom.disconnect();
  check(name('leaving a namespace'), (await gone)[0], 'io client disconnect');
  socket.emit('message', 'still here');
  check(name('the others stay'), await one(socket, 'message-back'), ['still here']);
  const big = 'x'.repeat(150_000); // more than 16 bits count; 200 ms are short for a pong behind megabytes
  const length = (await socket.timeout(5000).emitWithAck('message-with-ack', big)).length;
  check(name('a large message'), length, big.length);
  await pause(900);
  check(name('alive'), [socket.connected, dynamic.connected], [true, true]);
  const over = one(socket, 'disconnect');
  socket.io.engine.close();
  check(name('the end'), (await over)[0], 'forced close');
  socket.io._close?.();
}

await engineIO(['polling', 'websocket'], true);
await engineIO(['polling'], false);
await engineIO(['websocket'], false);
await socketIO('by default', {});
await socketIO('over websocket', { transports: ['websocket'] });
await socketIO('over polling', { transports: ['polling'] });
await socketIO('in msgpack', { parser: msgpack });
await socketIO('in msgpack over polling', { parser: msgpack, transports: ['polling'] });
done();
