/** A small event emitter: handlers run in the order in which they came, and one that throws does not stop the rest. */
export class Emitter {
    /** @type {Map<string, Set<(...args: any[]) => void>>} */
    handlers: Map<string, Set<(...args: any[]) => void>>;
    /**
     * @param {string} name
     * @param {(...args: any[]) => void} handler
     * @returns {() => void} takes the handler off again
     */
    on(name: string, handler: (...args: any[]) => void): () => void;
    /**
     * @param {string} name
     * @param {...any} args
     */
    emit(name: string, ...args: any[]): void;
}
