// What the protocols of Engine.IO (revision 4) and Socket.IO (revision 5) ask of a server, against lectern conformance.
import { check, done, input, one, require } from './check.mjs';

const { WebSocket } = require('ws');

const { base } = input;
const polling = 'EIO=4&transport=polling';
const webSocket = 'EIO=4&transport=websocket';

function site(path) {
  const http = (query, init) => fetch(`${base}${path}?${query}`, init);
  return {
    http,
    get: async (sid) => text(await http(`${polling}&sid=${sid}`)),
    post: async (sid, body) => text(await http(`${polling}&sid=${sid}`, { method: 'POST', body })),
    async open() {
      const answer = await (await http(polling)).text();
      return JSON.parse(answer.slice(1)).sid;
    },
    ws(query = webSocket) {
      const socket = new WebSocket(`${base.replace('http', 'ws')}${path}?${query}`);
      socket.binaryType = 'arraybuffer';
      socket.on('error', () => {});
      const waiting = [], heard = [];
      let ended = false;
      const give = (m) => (waiting.length ? waiting.shift()(m) : heard.push(m));
      socket.on('message', (data, binary) => give(binary ? [...new Uint8Array(data)] : data.toString()));
      socket.on('close', () => { ended = true; give('closed'); });
      socket.next = () => (heard.length ? Promise.resolve(heard.shift())
        : ended ? Promise.resolve('closed') : new Promise((resolve) => waiting.push(resolve)));
      socket.packet = async () => {
        for (;;) {
          const m = await socket.next();
          if (m !== '2') return m;
        }
      };
      socket.opened = one(socket, 'open');
      return socket;
    },
  };
}

async function text(response) { return `${response.status} ${await response.text()}`; }

const status = async (promise) => (await promise).status;

async function engine(path) {
  const s = site(path);
  const name = (what) => `${path} ${what}`;

  const answer = await (await s.http(polling)).text();
  const hello = JSON.parse(answer.slice(1));
  check(name('handshake'), [answer[0], Object.keys(hello).sort(), hello.upgrades, hello.pingInterval, hello.pingTimeout,
    hello.maxPayload], ['0', ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades'], ['websocket'], 300, 200, 1e6]);
  for (const query of ['transport=polling', 'EIO=abc&transport=polling', 'EIO=4', 'EIO=4&transport=abc']) {
    check(name(query), await status(s.http(query)), 400);
    check(name(`${query} over a WebSocket`), await s.ws(query).next(), 'closed');
  }
  for (const method of ['POST', 'PUT']) check(name(method), await status(s.http(polling, { method })), 400);

  const socket = s.ws();
  const greeting = await socket.next();
  check(name('handshake over a WebSocket'), JSON.parse(greeting.slice(1)).upgrades, []);
  for (let i = 0; i < 2; i++) {
    check(name('a ping'), await socket.next(), '2');
    socket.send('3');
  }
  check(name('another ping'), await socket.next(), '2');
  check(name('no pong'), await socket.next(), 'closed');

  let sid = await s.open();
  check(name('a ping by GET'), await s.get(sid), '200 2');
  check(name('a pong by POST'), await s.post(sid, '3'), '200 ok');
  check(name('a ping by GET'), await s.get(sid), '200 2');
  await new Promise((resolve) => setTimeout(resolve, 400));
  check(name('no pong by POST'), (await s.get(sid)).slice(0, 3), '400');

  sid = await s.open();
  const [poll] = await Promise.all([s.get(sid), s.post(sid, '1')]);
  check(name('a close lets the GET go'), poll, '200 6');
  check(name('after a close'), (await s.get(sid)).slice(0, 3), '400');
  const closing = s.ws();
  await closing.next();
  closing.send('1');
  check(name('a close over a WebSocket'), await closing.next(), 'closed');

  sid = await s.open();
  const first = s.get(sid);
  await new Promise((resolve) => setTimeout(resolve, 20));
  check(name('a second GET'), (await s.get(sid)).slice(0, 3), '400');
  check(name('the first of two GETs'), await first, '200 1');
  check(name('after two GETs'), (await s.get(sid)).slice(0, 3), '400');

  sid = await s.open();
  check(name('nonsense by POST'), (await s.post(sid, 'abc')).slice(0, 3), '400');
  check(name('after nonsense'), (await s.get(sid)).slice(0, 3), '400');
  const odd = s.ws();
  await odd.next();
  odd.send('abc');
  check(name('nonsense over a WebSocket'), await odd.packet(), 'closed');

  sid = await s.open();
  const probe = s.ws(`${webSocket}&sid=${sid}`);
  await probe.opened;
  probe.send('2probe');
  check(name('a probe'), await probe.next(), '3probe');
  check(name('the GET during an upgrade'), await s.get(sid), '200 6');
  probe.send('5');
  check(name('a ping after the upgrade'), await probe.next(), '2');
  check(name('a GET after the upgrade'), (await s.get(sid)).slice(0, 3), '400');
  const second = s.ws(`${webSocket}&sid=${sid}`);
  check(name('a second upgrade'), await second.next(), 'closed');
  probe.send('3');
  check(name('the session goes on'), await probe.next(), '2');
  probe.close();
}

async function echo() {
  const s = site('/engine.io/');
  const sid = await s.open();
  for (const payload of ['4hello', '4test1\x1e4test2\x1e4test3', '4hello\x1ebAQIDBA==']) {
    check(`POST ${JSON.stringify(payload)}`, await s.post(sid, payload), '200 ok');
    check(`GET ${JSON.stringify(payload)}`, await s.get(sid), `200 ${payload}`);
  }
  const socket = s.ws();
  await socket.next();
  socket.send('4hello');
  check('text over a WebSocket', await socket.packet(), '4hello');
  socket.send(Uint8Array.from([1, 2, 3, 4]));
  check('bytes over a WebSocket', await socket.packet(), [1, 2, 3, 4]);
  socket.close();
}

async function socketIO() {
  const s = site('/socket.io/');
  const raw = async () => {
    const socket = s.ws();
    await socket.next();
    return socket;
  };
  const joined = async () => {
    const socket = await raw();
    socket.send('40');
    await socket.packet();
    await socket.packet();
    return socket;
  };
  for (const [connect, auth] of [['40', '42["auth",{}]'], ['40{"token":"123"}', '42["auth",{"token":"123"}]'],
    ['40/custom,', '42/custom,["auth",{}]'], ['40/custom,{"token":"abc"}', '42/custom,["auth",{"token":"abc"}]'],
    ['40/dynamic-7,', '42/dynamic-7,["auth",{}]']]) {
    const socket = await raw();
    socket.send(connect);
    const answer = await socket.packet();
    check(`CONNECT ${connect}`, Object.keys(JSON.parse(answer.slice(answer.indexOf('{')))), ['sid']);
    check(`auth of ${connect}`, await socket.packet(), auth);
    socket.close();
  }
  for (const namespace of ['/random', '/dynamic-x', '/custom/deeper']) {
    const socket = await raw();
    socket.send(`40${namespace}`);
    check(`unknown ${namespace}`, await socket.packet(), `44${namespace},{"message":"Invalid namespace"}`);
    socket.close();
  }
  for (const bad of ['4abc', '42["early"]']) {
    const socket = await raw();
    socket.send(bad);
    check(`${bad} before CONNECT`, await socket.packet(), 'closed');
  }
  let socket = await joined();
  socket.send('41');
  check('DISCONNECT', await socket.packet(), 'closed');

  socket = await joined();
  socket.send('40/custom');
  await socket.packet();
  await socket.packet();
  socket.send('41/custom');
  socket.send('42["message","message to main namespace"]');
  check('one namespace less', await socket.packet(), '42["message-back","message to main namespace"]');
  socket.send('42["message",1,"2",{"3":[true]}]');
  check('text', await socket.packet(), '42["message-back",1,"2",{"3":[true]}]');
  socket.send('42456["message-with-ack",1,"2",{"3":[false]}]');
  check('an ack', await socket.packet(), '43456[1,"2",{"3":[false]}]');
  const two = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';
  for (const [event, answer] of [[`452-["message",${two}]`, `452-["message-back",${two}]`],
    [`452-789["message-with-ack",${two}]`, `462-789[${two}]`]]) {
    socket.send(event);
    socket.send(Uint8Array.from([1, 2, 3]));
    socket.send(Uint8Array.from([4, 5, 6]));
    check(event, [await socket.packet(), await socket.packet(), await socket.packet()], [answer, [1, 2, 3], [4, 5, 6]]);
  }
  socket.close();

  const place = (n) => `{"_placeholder":true,"num":${n}}`;
  const deep = '['.repeat(500) + ']'.repeat(500);
  for (const hostile of [
    ['42{}'], ['42[]'], ['42[null]'], ['42["disconnect"]'], ['42["connect_error"]'], ['42["newListener"]'],
    ['42["d\\u0069sconnect"]'], ['42["a"'], ['42["a"]x'], ['49["a"]'], ['4299999999999999999999["a"]'], [`42["a",${deep}]`],
    ['45["a"]'], ['45-["a"]'], ['4511-["a"]'], ['4599999999999-["a"]'], [`451-["a",${place(1)}]`], [`451-["a",${place('"splice"')}]`],
    [`451-["a",${place(0)}]`, '42["message","between"]'], [Uint8Array.from([1])], [`40/${'n'.repeat(300)}`], ['3nonsense', '2'],
  ]) {
    const victim = await joined();
    for (const m of hostile) victim.send(m);
    check(`hostile ${String(hostile[0]).slice(0, 40)}`, await victim.packet(), 'closed');
  }
  for (const name of ['__proto__', 'constructor', 'hasOwnProperty']) {
    const curious = await joined();
    curious.send(`42["${name}",{"__proto__":{"x":1}}]`);
    curious.send('42["message",1]');
    check(`the event ${name}`, await curious.packet(), '42["message-back",1]');
    curious.close();
  }
}

await engine('/engine.io/');
await engine('/socket.io/');
await echo();
await socketIO();
done();
