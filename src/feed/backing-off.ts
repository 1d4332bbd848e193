import { setTimeout as delay } from "node:timers/promises";

const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 2000;

/** Does something over and over until it is told to stop; after a failure it waits, longer each time. */
export class BackingOff {
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;

  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /**
   * @param turn what is done; it is begun again as soon as it has ended
   * @param onFailure told of the first failure in a row
   */
  start(turn: () => Promise<void>, onFailure: (cause: unknown) => void): void {
    this.running = this.run(turn, onFailure);
  }

  /** Resolves when the last turn has ended. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Waits, unless it is over. */
  async pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.signal, ref: false }).catch(() => undefined);
  }

  private async run(turn: () => Promise<void>, onFailure: (cause: unknown) => void): Promise<void> {
    let failures = 0;
    while (!this.signal.aborted) {
      try {
        await turn();
        failures = 0;
      } catch (cause) {
        if (this.signal.aborted) return;
        if (failures === 0) onFailure(cause);
        await this.pause(Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures));
        failures += 1;
      }
    }
  }
}
