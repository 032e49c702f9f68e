import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, LecternError, Renewal } from '../index.js';
import { FakeTimers, fakeSockets, settle } from './fakes.js';

/** The server's side of refreshes: what is good, what was spent less than 60 s ago, and whether it is all over. */
class FakeServer {
  constructor(timers) {
    Object.assign(this, { timers, last: 1, newest: 'R1', previous: '', spentAt: -Infinity, revoked: false, calls: [] });
    this.lose = 0;
  }

  refresh = async (tokens) => {
    const { refreshToken } = tokens;
    this.calls.push(refreshToken);
    const retry = refreshToken === this.previous && this.timers.now() - this.spentAt < 60_000;
    if (this.revoked || (refreshToken !== this.newest && !retry)) {
      this.revoked = true;
      throw new LecternError('invalid_token', 'used before', { status: 401 });
    }
    if (!retry) Object.assign(this, { previous: refreshToken, spentAt: this.timers.now() });
    this.newest = `R${++this.last}`;
    const got = { ...tokens, ...tokensOf('s', this.newest, this.timers.now() + 900_000) };
    await Promise.resolve();
    if (this.lose-- > 0) return new Promise(() => {});
    return got;
  };
}

function tokensOf(sid, refreshToken, expiresAt) {
  return { accessToken: `h.${btoa(JSON.stringify({ sid, refreshToken }))}.s`, refreshToken, expiresAt };
}

/** What navigator.locks does of it: one holder at a time. */
function fakeLocks() {
  let last = Promise.resolve();
  return {
    request: (_, fn) => {
      const run = last.then(fn);
      last = run.catch(() => {});
      return run;
    },
  };
}

/** A broadcast channel whose messages take `ms`. */
function fakeChannels(timers, ms) {
  const all = [];
  return () => {
    const channel = {
      postMessage: (data) => {
        const text = JSON.stringify(data);
        for (const other of all) {
          if (other !== channel) timers.setTimeout(() => other.onmessage({ data: JSON.parse(text) }), ms);
        }
      },
    };
    all.push(channel);
    return channel;
  };
}

function tab(server, stored, more = {}) {
  const t = { stored };
  t.renewal = new Renewal({
    load: () => t.stored,
    save: (tokens) => (t.stored = tokens),
    refresh: server.refresh,
    timers: server.timers,
    locks: undefined,
    ...more,
  });
  return t;
}

test('all who renew in a tab share one refresh, and a holder of older tokens gets the newer ones', async () => {
  const timers = new FakeTimers();
  const server = new FakeServer(timers);
  const first = { ...tokensOf('s', 'R1', 0), pin: '7' };
  const t = tab(server, first);
  const [a, b] = await Promise.all([t.renewal.renew(first), t.renewal.renew({ ...first })]);
  const c = await t.renewal.renew(first);
  assert.deepEqual(server.calls, ['R1']);
  for (const got of [a, b, c, t.stored]) assert.deepEqual([got.refreshToken, got.pin], ['R2', '7']);
  assert.equal(t.stored.unsettled, undefined);
});

test('tokens of another session in the store are left alone', async () => {
  const server = new FakeServer(new FakeTimers());
  const other = tokensOf('other', 'X1', 0);
  const t = tab(server, other);
  assert.equal((await t.renewal.renew(tokensOf('s', 'R1', 0))).refreshToken, 'R2');
  assert.equal(t.stored, other);
});

test('who signs out during a renewal stays signed out', async () => {
  const server = new FakeServer(new FakeTimers());
  const t = tab(server, tokensOf('s', 'R1', 0));
  const flight = t.renewal.renew(t.stored);
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(t.stored.unsettled, true);
  t.stored = null;
  await flight;
  assert.equal(t.stored, null);
});

test('a lost reply is noticed in time, and the next try gets tokens', async () => {
  const timers = new FakeTimers();
  const server = new FakeServer(timers);
  server.lose = 1;
  const t = tab(server, tokensOf('s', 'R1', 0));
  const failed = assert.rejects(t.renewal.renew(t.stored), { code: 'network' });
  await timers.advance(10_000);
  await failed;
  assert.equal((await t.renewal.renew(t.stored)).refreshToken, 'R3');
  assert.deepEqual([server.revoked, t.stored.refreshToken], [false, 'R3']);
});

test('a page that was reloaded during a renewal repeats it at once', async () => {
  const timers = new FakeTimers();
  const server = new FakeServer(timers);
  server.lose = 1;
  const before = tab(server, tokensOf('s', 'R1', timers.now() + 180_000));
  before.renewal.renew(before.stored).catch(() => {});
  await settle(); // the server has spent R1; then the page goes away
  const after = tab(server, JSON.parse(JSON.stringify(before.stored)));
  const { FakeSocket } = fakeSockets();
  const renew = (old) => after.renewal.renew(old);
  const client = new Client({ url: 'ws://test/ws', tokens: after.stored, renew, WebSocket: FakeSocket, timers });
  client.connect();
  await timers.advance(100);
  assert.equal(client.tokens.refreshToken, 'R3');
  assert.equal(server.revoked, false);
  client.close();
});

test('a duplicated tab and its original stay signed in', async () => {
  for (const [locks, delay] of [
    [fakeLocks(), 5],
    [fakeLocks(), 200], // later than the tabs wait
    [undefined, 5],
  ]) {
    const timers = new FakeTimers();
    const server = new FakeServer(timers);
    const channel = fakeChannels(timers, delay);
    let turn = 0;
    const random = () => (turn++ % 3) / 3;
    const open = () => tab(server, tokensOf('s', 'R1', 0), { locks, channel: channel(), random });
    const tabs = [open(), open(), open()];
    for (let round = 0; round < 4; round++) {
      const flights = tabs.map((t) => t.renewal.renew(t.stored));
      await timers.advance(1_000);
      await Promise.all(flights);
      assert.equal(server.revoked, false);
      for (const t of tabs) assert.equal(t.stored.refreshToken, server.newest, `round ${round}, ${delay} ms`);
      await timers.advance(700_000);
    }
    const asleep = open(); // as it was when it was duplicated, long ago
    const flight = asleep.renewal.renew(asleep.stored);
    await timers.advance(1_000);
    if (delay < 50) assert.equal((await flight).refreshToken, server.newest);
    else await assert.rejects(flight);
  }
});

test('a refused renewal is no refusal when another holder was quicker', async () => {
  const timers = new FakeTimers();
  const t = tab({ timers, refresh: null }, tokensOf('s', 'R1', 0), {
    refresh: async () => {
      t.stored = tokensOf('s', 'R2', 1);
      throw new LecternError('invalid_token', 'used before', { status: 401 });
    },
  });
  assert.equal((await t.renewal.renew(t.stored)).refreshToken, 'R2');
});

test('a socket that closes while the tokens are renewed comes back with them', async () => {
  const timers = new FakeTimers();
  const { FakeSocket, sockets } = fakeSockets();
  let finish;
  let renewals = 0;
  const client = new Client({
    url: 'ws://test/ws',
    tokens: { accessToken: 'T1', refreshToken: 'R1', expiresAt: timers.now() + 10_000 },
    renew: () => {
      renewals++;
      return new Promise((resolve) => (finish = resolve));
    },
    WebSocket: FakeSocket,
    timers,
    random: () => 0.5,
    heartbeatMs: 2 ** 30,
  });
  client.connect();
  await timers.advance(8_001);
  assert.equal(renewals, 1);
  sockets.at(-1).drop(4002);
  await timers.advance(5_000);
  finish({ accessToken: 'T2', refreshToken: 'R2' });
  await timers.advance(10);
  assert.equal(renewals, 1);
  assert.deepEqual(sockets.at(-1).protocols, ['lectern.v1', 'bearer.T2']);
  client.close();
});
