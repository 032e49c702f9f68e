// What stompjs can do beside subscribing and sending, in one version of STOMP: receipts, acknowledging, transactions,
// large frames in pieces, refusals, and coming back. Its steps are printed; a step that does not come fails.
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.env.LECTERN_NODE_MODULES, 'x.js'));
const { Client, Versions } = require('@stomp/stompjs');
globalThis.WebSocket = require('ws').WebSocket;

/** {base, token, room, version} */
const input = JSON.parse(process.env.PLAYER_INPUT);
const waiting = new Map();
const came = new Map();

/** What came under a name, now or later; the next one each time. */
function next(name) {
  const value = came.get(name)?.shift();
  if (value !== undefined) return Promise.resolve(value);
  return new Promise((resolve) => waiting.set(name, resolve));
}

function arrive(name, value) {
  const resolve = waiting.get(name);
  waiting.delete(name);
  if (resolve) resolve(value);
  else came.set(name, [...(came.get(name) ?? []), value]);
}

function check(ok, what) {
  if (!ok) throw new Error(what);
}

function connect(more = {}) {
  const client = new Client({
    brokerURL: `${input.base.replace('http', 'ws')}/stomp`,
    connectHeaders: { passcode: input.token, login: 'whoever' },
    stompVersions: new Versions([input.version]),
    reconnectDelay: 0,
    ...more,
  });
  client.onConnect = (frame) => arrive('connected', frame);
  client.onStompError = (frame) => arrive('error', frame);
  client.onWebSocketClose = (e) => arrive('closed', e);
  client.activate();
  return client;
}

function receipt(client, id) {
  client.watchForReceipt(id, () => arrive(id, true));
  return id;
}

const chat = (client, text, headers = {}) => client.publish({
  destination: '/app/chat.send', headers: { room: input.room, 'correlation-id': text, ...headers },
  body: JSON.stringify({ text }),
});

async function play() {
  let client = connect({ splitLargeFrames: true, maxWebSocketChunkSize: 100 });
  const connected = await next('connected');
  check(connected.headers.version === input.version, `version ${connected.headers.version}`);
  const topic = client.subscribe(`/topic/room.${input.room}`, (m) => arrive(m.headers.event, m),
    { receipt: receipt(client, 'in') });
  const welcome = await next('room:join');
  check(JSON.parse(welcome.body).room === input.room, welcome.body);
  await next('in');
  const queue = client.subscribe('/user/queue/replies', (m) => arrive('reply', m), { ack: 'client' });

  const correlation = input.version === '1.2' ? 'c:1\\' : 'c:1'; // the library escapes nothing before 1.2
  const long = 'a long text with: a colon, ' + 'and more '.repeat(30);
  chat(client, long.trim(), { receipt: receipt(client, 'sent'), 'correlation-id': correlation });
  const message = await next('chat:message');
  check(JSON.parse(message.body).text === long.trim(), message.body);
  const reply = await next('reply');
  check(reply.headers['correlation-id'] === correlation, reply.headers['correlation-id']);
  await next('sent');
  console.log('a long text, cut into pieces');

  if (input.version !== '1.0') {
    reply.nack();
    const again = await next('reply');
    check(again.headers.redelivered === 'true' && again.headers['message-id'] === reply.headers['message-id'] &&
      again.body === reply.body, JSON.stringify(again.headers));
    again.ack();
    console.log('refused, delivered again, acknowledged');
  } else {
    reply.ack();
  }

  let transaction = client.begin();
  chat(client, 'never said', { transaction: transaction.id });
  transaction.abort();
  transaction = client.begin();
  chat(client, 'first', { transaction: transaction.id });
  chat(client, 'second', { transaction: transaction.id, receipt: receipt(client, 'second') });
  transaction.commit();
  check(JSON.parse((await next('chat:message')).body).text === 'first', 'the first of the transaction');
  check(JSON.parse((await next('chat:message')).body).text === 'second', 'the second of the transaction');
  await next('second');
  console.log('a transaction was committed, another aborted');

  (await next('reply')).ack();
  const left = await next('reply');
  topic.unsubscribe({ receipt: receipt(client, 'out') });
  await next('out');
  queue.unsubscribe();
  await client.deactivate();
  check((await next('closed')).code === 1000, 'the close code');

  client = connect();
  await next('connected');
  client.subscribe('/user/queue/replies', (m) => arrive('reply', m), { ack: 'client' });
  const kept = await next('reply');
  check(kept.headers.redelivered === 'true' && kept.headers['message-id'] === left.headers['message-id'],
    JSON.stringify(kept.headers));
  kept.ack();
  console.log('what was not acknowledged came again on the next connection');

  client.subscribe('/topic/room.of-others', () => {});
  const error = await next('error');
  check(error.headers.message.includes('forbidden') && (await next('closed')).code === 1008, error.headers.message);
  console.log(`refused: ${error.headers.message}`);
}

setTimeout(() => {
  console.error(`waiting for ${[...waiting.keys()]}, with ${[...came.keys()]} there`);
  process.exit(1);
}, 30_000).unref();
play().then(() => process.exit(0), (error) => {
  console.error(error.stack);
  process.exit(1);
});
