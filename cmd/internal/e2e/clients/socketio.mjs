// A player with socket.io-client: socketio.mjs default|websocket|polling|msgpack.
import { done, fail, finish, input, onEvent, onReceipt, onReply, require } from './player.mjs';

const { io } = require('socket.io-client');
const how = process.argv[2];

const options = {
  default: {},
  websocket: { transports: ['websocket'] },
  polling: { transports: ['polling'] },
  msgpack: { parser: require('socket.io-msgpack-parser') },
}[how];
const socket = io(input.base, { ...options, reconnection: false, auth: (give) => give({ token: input.token }) });

function over() {
  if (!done() || !finish()) return;
  const transport = socket.io.engine.transport.name;
  if (transport !== (how === 'polling' ? 'polling' : 'websocket')) fail(`it plays over ${transport}`);
  socket.disconnect();
  process.exit(0);
}

async function answer(data) {
  const reply = await socket.timeout(10_000).emitWithAck('quiz:answer', data);
  onReply(reply.ok ? reply.data : reply);
  onReceipt();
  over();
}

socket.onAny((event, data, meta) => {
  if (meta === undefined) return; // the library's own
  onEvent(event, meta.ts, data, answer);
  over();
});
socket.on('connect', async () => {
  const reply = await socket.timeout(10_000).emitWithAck('room:join', { room: input.room });
  if (!reply.ok) fail(`the join was refused: ${JSON.stringify(reply.error)}`);
});
socket.on('connect_error', (e) => fail(`connect_error: ${e.message} ${JSON.stringify(e.data)}`));
socket.on('disconnect', (why) => {
  if (!done()) fail(`disconnected: ${why}`);
});
