/**
 * Lets calls pass one by one, in the order in which they came, while it is closed: whoever sends several statements on one connection
 * without waiting for each relies on their order.
 */
export class Turnstile {
  private closed = false;
  private readonly waiting: (() => void)[] = [];

  /** Runs a call now, or when its turn has come. */
  pass<Result>(call: () => Promise<Result>): Promise<Result> {
    if (!this.closed) return call();
    return new Promise((resolve, reject) => {
      this.waiting.push(() => void call().then(resolve, reject));
    });
  }

  /** @returns a function that opens it again: those who wait pass at once, until one of them closes it */
  close(): () => void {
    this.closed = true;
    return () => {
      this.closed = false;
      while (!this.closed) {
        const next = this.waiting.shift();
        if (next === undefined) return;
        next();
      }
    };
  }
}
