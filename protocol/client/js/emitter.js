/** A small event emitter: handlers run in the order in which they came, and one that throws does not stop the rest. */
export class Emitter {
  constructor() {
    /** @type {Map<string, Set<(...args: any[]) => void>>} */
    this.handlers = new Map();
  }

  /**
   * @param {string} name
   * @param {(...args: any[]) => void} handler
   * @returns {() => void} takes the handler off again
   */
  on(name, handler) {
    let set = this.handlers.get(name);
    if (!set) this.handlers.set(name, (set = new Set()));
    set.add(handler);
    return () => set.delete(handler);
  }

  /**
   * @param {string} name
   * @param {...any} args
   */
  emit(name, ...args) {
    for (const handler of [...(this.handlers.get(name) ?? [])]) {
      try {
        handler(...args);
      } catch (error) {
        console.error(error);
      }
    }
  }
}
