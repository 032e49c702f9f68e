import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Api, ServerClock, afterClose, backoffMs, newKey, retryAfterOf } from '../index.js';

const half = () => 0.5;

test('the clock takes the sample with the shortest round trip', () => {
  let now = 0;
  const clock = new ServerClock(() => now);
  assert.equal(clock.synced, false);
  clock.add(0, 1_500, 1_500, 1_000); // offset 1,000, trip 1,000
  clock.add(2_000, 3_060, 3_060, 2_020); // offset 1,050, trip 20
  clock.add(4_000, 5_900, 5_900, 4_800); // offset 1,500, trip 800
  assert.equal(clock.offsetMs, 1_050);
  assert.equal(clock.errorMs, 10);
  now = 10_000;
  assert.equal(clock.now(), 11_050);
});

test('the error of the clock is at most half of the round trip, whatever the way there and back took', () => {
  for (let there = 0; there <= 200; there += 20) {
    for (let back = 0; back <= 200; back += 20) {
      const clock = new ServerClock(() => 0);
      const truth = 12_345;
      clock.add(0, there + truth, there + 5 + truth, there + 5 + back);
      assert.ok(Math.abs(clock.offsetMs - truth) <= clock.errorMs + 1e-9, `${there}/${back}`);
    }
  }
});

test('old samples make room for new ones', () => {
  const clock = new ServerClock(() => 0, 2);
  clock.add(0, 10, 10, 0);
  clock.add(0, 20, 20, 4);
  clock.add(0, 30, 30, 4);
  assert.equal(clock.offsetMs, 18);
  clock.restart();
  assert.equal(clock.offsetMs, 18);
  assert.equal(clock.synced, false);
});

test('backoff grows, has a limit and is spread over half of it', () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    const low = backoffMs(attempt, () => 0);
    const high = backoffMs(attempt, () => 0.999);
    assert.ok(low >= 250 && high <= 20_000 && high > low);
    assert.ok(backoffMs(attempt + 1, half) >= backoffMs(attempt, half));
  }
});

test('close codes say what to do', () => {
  const plan = (code, reason = '', attempt = 0) => afterClose(code, reason, attempt, half);
  for (const code of [4000, 4001, 4050, 4099, 4300]) {
    assert.equal(plan(code).action, 'reconnect');
    assert.ok(plan(code).delayMs <= 400, `${code} comes back at once`);
    assert.ok(plan(code, '', 6).delayMs > 5_000, `${code} does not hammer`);
  }
  assert.deepEqual(plan(4002), { action: 'renew', delayMs: 0 });
  for (const code of [4200, 4201, 4202, 4203, 4299]) assert.equal(plan(code).action, 'stop');
  assert.ok(plan(4102, 'retryAfterMs=1200').delayMs >= 1_200);
  assert.equal(plan(4000, 'the server restarts; come back; retryAfterMs=6200').delayMs, 6_200);
  assert.ok(plan(4000, 'retryAfterMs=1', 6).delayMs > 5_000, 'the advice does not make it hammer');
  assert.ok(plan(4103).delayMs >= 5_000);
  for (const code of [1000, 1001, 1006, 1011, 1012]) assert.equal(plan(code).action, 'reconnect');
});

test('the advice in a close reason is found in every form', () => {
  assert.equal(retryAfterOf('{"retryAfterMs":1200}'), 1200);
  assert.equal(retryAfterOf('retryAfterMs=1200'), 1200);
  assert.equal(retryAfterOf(' 1200 '), 1200);
  assert.equal(retryAfterOf('too many connections'), undefined);
  assert.equal(retryAfterOf(''), undefined);
});

test('keys are long and never the same', () => {
  const keys = new Set(Array.from({ length: 1000 }, newKey));
  assert.equal(keys.size, 1000);
  for (const key of keys) assert.match(key, /^[0-9a-f]{32}$/);
});

const respond =
  (status, body, headers = {}) =>
  async () =>
    new Response(body, { status, headers });

test('a problem becomes an error with its code', async () => {
  const problem = JSON.stringify({ code: 'name_taken', detail: 'choose another', path: 'name', status: 409 });
  const api = new Api('', respond(409, problem, { 'Content-Type': 'application/problem+json', 'Retry-After': '3' }));
  await assert.rejects(api.call('POST', '/auth/token', { json: {} }), {
    code: 'name_taken',
    message: 'choose another',
    path: 'name',
    status: 409,
    retryAfterMs: 3000,
  });
});

test('a page that is no problem gives its status', async () => {
  await assert.rejects(new Api('', respond(502, '<html>')).call('GET', '/x'), { code: 'http_502', status: 502 });
});

test('no server is an error of its own', async () => {
  const api = new Api('', async () => {
    throw new TypeError('failed');
  });
  await assert.rejects(api.call('GET', '/x'), { code: 'network' });
});

test('calls carry the token, anonymous ones do not; an empty reply is undefined', async () => {
  const seen = [];
  const api = new Api('http://h', async (url, init) => {
    seen.push([url, init.headers.Authorization]);
    return new Response(null, { status: 204 });
  });
  api.token = () => 'T';
  assert.equal(await api.call('DELETE', '/a'), undefined);
  await api.call('GET', '/b', { anonymous: true });
  assert.deepEqual(seen, [
    ['http://h/a', 'Bearer T'],
    ['http://h/b', undefined],
  ]);
});

test('a refresh keeps what the reply does not name', async () => {
  const api = new Api('', respond(200, JSON.stringify({ accessToken: 'B', refreshToken: 'S' })));
  assert.deepEqual(await api.refresh({ accessToken: 'A', refreshToken: 'R', room: 'r' }), {
    accessToken: 'B',
    refreshToken: 'S',
    room: 'r',
  });
});
