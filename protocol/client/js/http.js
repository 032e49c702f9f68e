import { LecternError } from './errors.js';

/** @typedef {import('./types.js').Tokens} Tokens */

/**
 * Api speaks to the HTTP side: tokens and /api/v1. Refusals arrive as problem+json (RFC 9457) and leave as LecternError
 * with the problem's code.
 */
export class Api {
  /**
   * @param {string} [origin] '' for the page's own
   * @param {typeof fetch} [fetchFn]
   */
  constructor(origin = '', fetchFn = (...args) => globalThis.fetch(...args)) {
    this.origin = origin;
    this.fetch = fetchFn;
    /** @type {() => string | undefined} gives the access token for calls that need one */
    this.token = () => undefined;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{json?: unknown, body?: BodyInit, type?: string, anonymous?: boolean, signal?: AbortSignal}} [options]
   * @returns {Promise<Response>} a response with a 2xx status
   */
  async send(method, path, options = {}) {
    /** @type {Record<string, string>} */
    const headers = {};
    /** @type {BodyInit | undefined} */
    let body = options.body;
    if (options.json !== undefined) {
      headers['Content-Type'] = 'application/json';
      body = JSON.stringify(options.json);
    } else if (body !== undefined) {
      headers['Content-Type'] = options.type ?? 'application/octet-stream';
    }
    const token = options.anonymous ? undefined : this.token();
    if (token) headers.Authorization = `Bearer ${token}`;
    let response;
    try {
      const { signal } = options;
      response = await this.fetch(this.origin + path, { method, headers, body, signal, cache: 'no-store' });
    } catch {
      throw new LecternError('network', 'no connection to the server');
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{json?: unknown, body?: BodyInit, type?: string, anonymous?: boolean, signal?: AbortSignal}} [options]
   * @returns {Promise<any>} the JSON of the reply, undefined when it is empty
   */
  async call(method, path, options) {
    const response = await this.send(method, path, options);
    const text = await response.text();
    return text ? JSON.parse(text) : undefined;
  }

  /**
   * Exchanges a PIN and a name (or what else the server accepts) for tokens.
   * @param {Record<string, unknown>} claim
   * @returns {Promise<Tokens>}
   */
  obtainToken(claim) {
    return this.call('POST', '/auth/token', { json: claim, anonymous: true });
  }

  /**
   * Exchanges a refresh token. The old one is spent afterwards; when the reply is lost it is good for another try within
   * 60 s. Tokens that others hold, too, are renewed through Renewal.
   * @param {Tokens} tokens
   * @param {AbortSignal} [signal]
   * @returns {Promise<Tokens>}
   */
  async refresh(tokens, signal) {
    const fresh = await this.call('POST', '/auth/refresh', {
      json: { refreshToken: tokens.refreshToken },
      anonymous: true,
      signal,
    });
    return { ...tokens, ...fresh };
  }
}

/**
 * @param {Response} response
 * @returns {Promise<LecternError>}
 */
async function problemOf(response) {
  /** @type {any} */
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy's page, not ours: the status is all there is.
  }
  const retry = Number(response.headers.get('Retry-After'));
  const code = typeof problem.code === 'string' ? problem.code : `http_${response.status}`;
  return new LecternError(code, problem.detail || problem.title || `HTTP ${response.status}`, {
    status: response.status,
    path: problem.path,
    retryAfterMs: problem.retryAfterMs ?? (retry > 0 ? retry * 1000 : undefined),
  });
}
