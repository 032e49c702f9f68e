// A connection is lost; what was sent meanwhile is kept, and what was missed arrives in order. Run it against a server
// with --dev:
//     node comeback.mjs ws://127.0.0.1:8080/ws
import { Client, newKey } from 'lectern-client';

const WebSocket = globalThis.WebSocket ?? (await import('ws')).default;
const url = process.argv[2] ?? 'ws://127.0.0.1:8080/ws';
const once = (emitter, name) => new Promise((resolve) => emitter.on(name, resolve));

const [ada, bob] = ['Ada', 'Bob'].map((guestName) => new Client({ url, guestName, WebSocket }));
for (const client of [ada, bob]) client.connect();
const mine = ada.join('reading-room');
const his = bob.join('reading-room');
await Promise.all([once(mine, 'snapshot'), once(his, 'snapshot')]);

const notes = [];
const all = new Promise((resolve) => {
  his.on('note', (text) => {
    notes.push(text);
    if (notes.length === 3) resolve();
  });
});
const resumed = once(his, 'resumed');
await mine.request('room:publish', { event: 'note', payload: 'one', key: newKey() });
bob.abandon('the train enters a tunnel');
// Nobody is there to take it, so it waits for the connection.
const kept = his.request('room:publish', { event: 'note', payload: 'three', key: newKey() });
await mine.request('room:publish', { event: 'note', payload: 'two', key: newKey() });
await Promise.all([resumed, kept, all]);
console.log(notes.sort().join(', '));
console.log('nothing is kept any more:', bob.kept() === 0);

ada.close();
bob.close();
