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
  constructor(now, samplesMax = 8) {
    this.localNow = now;
    this.samplesMax = samplesMax;
    /** @type {{offset: number, rtt: number}[]} */
    this.samples = [];
    this.offsetMs = 0;
    /** Half of the best round trip: how wrong offsetMs can be. Infinity before the first sample. */
    this.errorMs = Infinity;
  }

  /** @returns {boolean} true after the first sample */
  get synced() {
    return this.samples.length > 0;
  }

  /**
   * @param {number} t0 local time when the request left
   * @param {number} t1 server time when it arrived
   * @param {number} t2 server time when the reply left
   * @param {number} t3 local time when the reply arrived
   */
  add(t0, t1, t2, t3) {
    const rtt = Math.max(0, t3 - t0 - (t2 - t1));
    this.samples.push({ offset: (t1 - t0 + (t2 - t3)) / 2, rtt });
    if (this.samples.length > this.samplesMax) this.samples.shift();
    let best = this.samples[0];
    for (const sample of this.samples) if (sample.rtt < best.rtt) best = sample;
    this.offsetMs = best.offset;
    this.errorMs = best.rtt / 2;
  }

  /** Forgets the samples but keeps the offset: after a sleep the local clock may have stood still. */
  restart() {
    this.samples = [];
    this.errorMs = Infinity;
  }

  /** @returns {number} the server's time in Unix milliseconds */
  now() {
    return this.localNow() + this.offsetMs;
  }
}
