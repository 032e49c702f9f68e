/**
 * ServerClock estimates how far the server's clock is ahead of ours. Each sample is one time:sync exchange; of the
 * recent ones the one with the shortest round trip wins, because its error is at most half of that trip (RFC 5905
 * section 8 has the same formula and the same reason).
 */
export class ServerClock {
    /**
     * @param {() => number} now local time in milliseconds
     * @param {number} [samplesMax]
     */
    constructor(now: () => number, samplesMax?: number);
    localNow: () => number;
    samplesMax: number;
    /** @type {{offset: number, rtt: number}[]} */
    samples: {
        offset: number;
        rtt: number;
    }[];
    offsetMs: number;
    /** Half of the best round trip: how wrong offsetMs can be. Infinity before the first sample. */
    errorMs: number;
    /** @returns {boolean} true after the first sample */
    get synced(): boolean;
    /**
     * @param {number} t0 local time when the request left
     * @param {number} t1 server time when it arrived
     * @param {number} t2 server time when the reply left
     * @param {number} t3 local time when the reply arrived
     */
    add(t0: number, t1: number, t2: number, t3: number): void;
    /** Forgets the samples but keeps the offset: after a sleep the local clock may have stood still. */
    restart(): void;
    /** @returns {number} the server's time in Unix milliseconds */
    now(): number;
}
