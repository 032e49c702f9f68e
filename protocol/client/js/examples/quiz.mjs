// A host opens a quiz, a participant answers. Run it against a server with --dev:
//     node quiz.mjs ws://127.0.0.1:8080/ws
import { Client, newKey } from 'lectern-client';

const WebSocket = globalThis.WebSocket ?? (await import('ws')).default;
const url = process.argv[2] ?? 'ws://127.0.0.1:8080/ws';
const once = (emitter, name) => new Promise((resolve) => emitter.on(name, resolve));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const host = new Client({ url, guestName: 'Ms Maria', WebSocket });
const opened = new Promise((resolve) => host.on('state', (state) => state === 'open' && resolve()));
host.connect();
await opened;
const game = await host.request('quiz:create', {
  quiz: {
    title: 'Capitals',
    questions: [{ type: 'single_choice', text: 'France?', options: [{ text: 'Paris', correct: true }, { text: 'Lyon' }] }],
  },
});

const ada = new Client({ url, guestName: 'Ada', WebSocket });
ada.connect();
const room = ada.join(game.room);
await once(room, 'snapshot');

const asked = once(room, 'quiz:question');
const ranked = once(room, 'quiz:rank');
await host.request('quiz:start', undefined, { room: game.room });
const question = await asked;
console.log(question.text, question.options.map((o) => o.text).join(' or '));

// It opens at opensAt of the server's clock, which the client knows.
await sleep(question.opensAt - ada.clock.now());
const receipt = await room.request('quiz:answer', { question: question.number, answer: '0', key: newKey() });
console.log('durable:', receipt.durable);
const rank = await ranked;
console.log(`number ${rank.rank} of ${rank.of}: ${rank.outcome}`);

host.close();
ada.close();
