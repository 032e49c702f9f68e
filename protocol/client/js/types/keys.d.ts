/**
 * A new idempotency key: 128 random bits in hex. `crypto.randomUUID` is left alone on purpose, for it exists only in
 * secure contexts and a classroom often reaches its server by plain address.
 * @returns {string}
 */
export function newKey(): string;
