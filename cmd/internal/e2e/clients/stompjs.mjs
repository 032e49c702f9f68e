// A player with stompjs, as its documentation has it.
import { done, fail, finish, input, onEvent, onReceipt, onReply, require } from './player.mjs';

const { Client } = require('@stomp/stompjs');
const { WebSocket } = require('ws');
globalThis.WebSocket = WebSocket;

const client = new Client({
  brokerURL: `${input.base.replace('http', 'ws')}/stomp`,
  connectHeaders: { Authorization: `Bearer ${input.token}` },
  reconnectDelay: 0,
  heartbeatIncoming: 4000,
  heartbeatOutgoing: 4000,
});

function over() {
  if (done() && finish()) client.deactivate();
}

function answer(data) {
  const receipt = `answer-${data.question}`;
  client.watchForReceipt(receipt, () => {
    onReceipt();
    over();
  });
  client.publish({
    destination: '/app/quiz.answer', headers: { room: input.room, receipt, 'content-type': 'application/json' },
    body: JSON.stringify(data),
  });
}

function event(message) {
  onEvent(message.headers.event, Number(message.headers.ts), JSON.parse(message.body), answer);
  over();
}

client.onConnect = () => {
  client.subscribe('/user/queue/replies', (message) => {
    if (message.headers['correlation-id']?.startsWith('answer-')) onReply(JSON.parse(message.body));
    over();
  });
  client.subscribe('/user/queue/events', (message) => {
    event(message);
    message.ack();
  }, { ack: 'client-individual' });
  const receipt = 'joined';
  client.watchForReceipt(receipt, () => console.error(`${input.name} is in the room`));
  client.subscribe(`/topic/room.${input.room}`, event, { receipt, id: 'the-room' });
};
client.onStompError = (frame) => fail(`ERROR ${frame.headers.message}`);
client.onWebSocketClose = (e) => {
  if (!done()) fail(`the connection was closed: ${e.code} ${e.reason}`);
};
client.activate();
