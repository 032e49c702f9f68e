import { LecternError } from './errors.js';
import { systemTimers } from './timers.js';

/** @typedef {import('./types.js').Tokens} Tokens */
/** @typedef {import('./types.js').RenewalOptions} RenewalOptions */

const refreshMs = 10_000;
const askMs = 50;
const spreadMs = 500;

/** @param {Tokens} tokens */
const lockOf = (tokens) => `lectern.renewal.${sessionOf(tokens) ?? ''}`;

/**
 * Renewal trades the refresh token of one place where tokens are kept, for all who use that place: a token is good
 * once, and a second use can end the session. The Client and the page's own calls share one flight; tabs with the same
 * session (a duplicated tab) take turns and tell each other what they got. A renewal that began and is not known to
 * have ended is marked in the store (`unsettled`), so that a page that was reloaded meanwhile repeats it at once, while
 * the server still takes it for a retry.
 */
export class Renewal {
  /** @param {RenewalOptions} options */
  constructor(options) {
    this.options = options;
    this.timers = options.timers ?? systemTimers();
    this.now = options.timers?.now ?? Date.now; // the clock that tabs share
    this.locks = 'locks' in options ? options.locks : globalThis.navigator?.locks;
    this.channel = options.channel;
    /** @type {Promise<Tokens> | undefined} */
    this.flight = undefined;
    /** @type {string | undefined} */
    this.flightOf = undefined;
    if (this.channel) this.channel.onmessage = (/** @type {any} */ event) => this.heard(event.data);
  }

  /**
   * Newer tokens than `have`: the store's, when somebody else has renewed them meanwhile, or the server's.
   * @param {Tokens} have
   * @returns {Promise<Tokens>}
   */
  renew(have) {
    if (this.flight && this.flightOf === have.refreshToken) return this.flight;
    const before = this.flight;
    const flight = (before ? before.catch(() => {}) : Promise.resolve())
      .then(() => (this.locks ? this.locks.request(lockOf(have), () => this.once(have)) : this.once(have)))
      .finally(() => {
        if (this.flight === flight) this.flight = undefined;
      });
    this.flight = flight;
    this.flightOf = have.refreshToken;
    return flight;
  }

  /**
   * @param {Tokens} have
   * @returns {Promise<Tokens>}
   */
  async once(have) {
    const session = sessionOf(have);
    if (this.channel && session && !this.newer(have)) {
      // Another tab may have been quicker, or this one was asleep for days. Without locks, chance is what makes tabs
      // that begin at once take turns: a classroom's server at a plain address has none.
      this.channel.postMessage({ ask: session });
      const wait = askMs + (this.locks ? 0 : (this.options.random ?? Math.random)() * spreadMs);
      await new Promise((done) => this.timers.setTimeout(() => done(undefined), wait));
    }
    const found = this.newer(have);
    if (found) return found;
    const stored = this.options.load();
    const mine = stored && stored.refreshToken === have.refreshToken;
    if (mine) this.options.save({ ...stored, unsettled: true });
    let got;
    try {
      got = await this.refresh(mine ? { ...have, ...stored } : have);
    } catch (error) {
      const late = this.newer(have);
      if (late) return late;
      throw error;
    }
    const fresh = { ...got, renewedAt: Math.max(this.now(), (stored?.renewedAt ?? 0) + 1) };
    delete fresh.unsettled;
    // Whoever signed out meanwhile stays so. What another tab got meanwhile is void now.
    const now = this.options.load();
    if (now && (now.refreshToken === have.refreshToken || (session && sessionOf(now) === session))) {
      this.options.save(fresh);
    }
    this.tell(fresh);
    return fresh;
  }

  /**
   * The refresh with a limit: a lost reply must be noticed while the server still takes another try for a retry.
   * @param {Tokens} tokens
   * @returns {Promise<Tokens>}
   */
  async refresh(tokens) {
    const abort = new AbortController();
    /** @type {any} */
    let timer;
    const late = new Promise((_, reject) => {
      timer = this.timers.setTimeout(() => {
        abort.abort();
        reject(new LecternError('network', 'the server did not answer in time'));
      }, refreshMs);
    });
    try {
      return await Promise.race([this.options.refresh(tokens, abort.signal), late]);
    } finally {
      this.timers.clearTimeout(timer);
    }
  }

  /**
   * What the store has, when it is of the same session and was renewed by somebody else.
   * @param {Tokens} have
   * @returns {Tokens | undefined}
   */
  newer(have) {
    const stored = this.options.load();
    if (!stored?.refreshToken || stored.refreshToken === have.refreshToken) return undefined;
    return sessionOf(stored) === sessionOf(have) ? stored : undefined;
  }

  /** @param {Tokens} tokens */
  tell(tokens) {
    const session = sessionOf(tokens);
    if (!session) return;
    const { accessToken, refreshToken, expiresAt, renewedAt } = tokens;
    this.channel?.postMessage({ session, tokens: { accessToken, refreshToken, expiresAt, renewedAt } });
  }

  /**
   * What another tab says: {ask: session} or {session, tokens}.
   * @param {any} message
   */
  heard(message) {
    const stored = this.options.load();
    if (!stored?.refreshToken) return;
    const session = sessionOf(stored);
    if (!session) return;
    if (message?.ask === session && stored.renewedAt && !stored.unsettled) this.tell(stored);
    if (message?.session !== session || !(message.tokens?.renewedAt > (stored.renewedAt ?? 0))) return;
    const fresh = { ...stored, ...message.tokens };
    delete fresh.unsettled;
    this.options.save(fresh);
  }
}

/**
 * The session that tokens belong to: the claim `sid` of the access token. Nothing is verified.
 * @param {Tokens} tokens
 * @returns {string | undefined}
 */
function sessionOf(tokens) {
  try {
    return JSON.parse(atob(tokens.accessToken.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).sid;
  } catch {
    return undefined;
  }
}
