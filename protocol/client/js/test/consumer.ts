// What a TypeScript program sees of the package; compiled strictly by .ci/js.sh, never run.
import { Api, Client, LecternError, newKey, Renewal, type Tokens } from 'lectern-client';

const tokens: Tokens = { accessToken: 'a', refreshToken: 'r', expiresAt: 1 };
const api = new Api('https://quiz.example.org');
const renewal = new Renewal({ load: () => tokens, save: () => {}, refresh: (old, signal) => api.refresh(old, signal) });
const client = new Client({
  url: 'wss://quiz.example.org/ws',
  tokens,
  renew: (old) => renewal.renew(old),
  queueMax: 10,
  random: Math.random,
});
const room = client.join('318575', { role: 'observer' });
const off: () => void = room.on('chat:message', (message) => console.log(message));
off();
room.request('chat:send', { text: 'hi', key: newKey() }).catch((error: unknown) => {
  if (error instanceof LecternError) {
    const rule: string | undefined = error.rule;
    console.log(error.code, error.pointer, rule);
  }
});
const ahead: number = client.clock.offsetMs;
console.log(ahead, client.state === 'open');

// @ts-expect-error the address is needed
new Client({});
// @ts-expect-error there is no such option
new Client({ url: 'ws://x/ws', colour: 'red' });
