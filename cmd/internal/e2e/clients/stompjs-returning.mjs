// A player with stompjs whose server is killed in mid-question: the library connects again, the topic is subscribed to
// with the last seq, and an answer whose receipt has not come is sent again with its key.
import { done, fail, finish, input, onEvent, onReceipt, onReply, require } from './player.mjs';

const { Client } = require('@stomp/stompjs');
globalThis.WebSocket = require('ws').WebSocket;

const client = new Client({
  brokerURL: `${input.base.replace('http', 'ws')}/stomp`,
  connectHeaders: { Authorization: `Bearer ${input.token}` },
  reconnectDelay: 200,
});

const pending = new Map(); // answers without a receipt, by correlation id
let place = {}; // {epoch, since} once the room has been joined
let returned = 0;

function over() {
  if (!done()) return;
  if (returned === 0 || pending.size > 0) fail(`came back ${returned} times, ${pending.size} answers are pending`);
  if (finish()) client.deactivate();
}

function send(id) {
  if (!client.connected || !pending.has(id)) return;
  client.watchForReceipt(id, () => {
    if (pending.delete(id)) onReceipt();
    over();
  });
  client.publish({ destination: '/app/quiz.answer', headers: { room: input.room, receipt: id }, body: pending.get(id) });
}

function answer(data) {
  const id = `answer-${data.question}`;
  pending.set(id, JSON.stringify(data));
  send(id);
}

function topic(message) {
  const { event, seq, epoch, recovered } = message.headers;
  if (event === 'room:join') {
    if (place.epoch) {
      returned++;
      if (recovered !== 'true') fail('what was missed is gone');
    }
    place = { epoch, since: place.since ?? seq };
    return;
  }
  if (seq) {
    if (Number(seq) !== Number(place.since) + 1) fail(`after ${place.since} came ${seq}`);
    place.since = seq;
  }
  onEvent(event, Number(message.headers.ts), JSON.parse(message.body), answer);
  over();
}

client.onConnect = () => {
  client.subscribe('/user/queue/replies', (message) => {
    const id = message.headers['correlation-id'];
    if (!id?.startsWith('answer-')) return;
    if (message.headers.error === 'question_closed') setTimeout(send, 200, id); // too early: it was given time back
    else if (pending.has(id)) onReply(JSON.parse(message.body));
    over();
  });
  client.subscribe('/user/queue/quiz.rank', (message) => {
    onEvent('quiz:rank', 0, JSON.parse(message.body));
    over();
  });
  client.subscribe(`/topic/room.${input.room}`, topic, place);
  for (const id of pending.keys()) send(id);
};
client.onStompError = (frame) => fail(`ERROR ${frame.headers.message}`);
client.activate();
