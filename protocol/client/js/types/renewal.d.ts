/**
 * Renewal trades the refresh token of one place where tokens are kept, for all who use that place: a token is good
 * once, and a second use can end the session. The Client and the page's own calls share one flight; tabs with the same
 * session (a duplicated tab) take turns and tell each other what they got. A renewal that began and is not known to
 * have ended is marked in the store (`unsettled`), so that a page that was reloaded meanwhile repeats it at once, while
 * the server still takes it for a retry.
 */
export class Renewal {
    /** @param {RenewalOptions} options */
    constructor(options: RenewalOptions);
    options: import("./types.js").RenewalOptions;
    timers: import("./types.js").Timers;
    now: () => number;
    locks: any;
    channel: any;
    /** @type {Promise<Tokens> | undefined} */
    flight: Promise<Tokens> | undefined;
    /** @type {string | undefined} */
    flightOf: string | undefined;
    /**
     * Newer tokens than `have`: the store's, when somebody else has renewed them meanwhile, or the server's.
     * @param {Tokens} have
     * @returns {Promise<Tokens>}
     */
    renew(have: Tokens): Promise<Tokens>;
    /**
     * @param {Tokens} have
     * @returns {Promise<Tokens>}
     */
    once(have: Tokens): Promise<Tokens>;
    /**
     * The refresh with a limit: a lost reply must be noticed while the server still takes another try for a retry.
     * @param {Tokens} tokens
     * @returns {Promise<Tokens>}
     */
    refresh(tokens: Tokens): Promise<Tokens>;
    /**
     * What the store has, when it is of the same session and was renewed by somebody else.
     * @param {Tokens} have
     * @returns {Tokens | undefined}
     */
    newer(have: Tokens): Tokens | undefined;
    /** @param {Tokens} tokens */
    tell(tokens: Tokens): void;
    /**
     * What another tab says: {ask: session} or {session, tokens}.
     * @param {any} message
     */
    heard(message: any): void;
}
export type Tokens = import("./types.js").Tokens;
export type RenewalOptions = import("./types.js").RenewalOptions;
