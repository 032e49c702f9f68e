// Two guests talk in a room. Run it against a server with --dev:
//     node chat.mjs ws://127.0.0.1:8080/ws
import { Client, newKey } from 'lectern-client';

// Browsers and Node 22 have a WebSocket; Node 20 takes that of npm's ws.
const WebSocket = globalThis.WebSocket ?? (await import('ws')).default;
const url = process.argv[2] ?? 'ws://127.0.0.1:8080/ws';

const [ada, bob] = ['Ada', 'Bob'].map((guestName) => new Client({ url, guestName, WebSocket }));
const rooms = [ada, bob].map((client) => {
  client.connect();
  return client.join('tea-room');
});

// Both are in when both have a snapshot of the room.
await Promise.all(rooms.map((room) => new Promise((resolve) => room.on('snapshot', resolve))));

const heard = new Promise((resolve) => rooms[1].on('chat:message', resolve));
const { id } = await rooms[0].request('chat:send', { text: 'Is anybody here?', key: newKey() });
const message = await heard;
console.log(`${message.name}: ${message.text}`);
console.log('the same message:', message.id === id);

// A refusal names the place in the message and the rule of its published schema.
try {
  await rooms[0].request('chat:send', { text: ' ' });
} catch (error) {
  console.log(`${error.code} at ${error.pointer}: ${error.rule}`);
}

ada.close();
bob.close();
