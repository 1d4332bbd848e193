import type { Clock } from "../../core/clock";

/** Something that must be over in time. */
export interface Deadline {
  /** On the monotonic clock. */
  readonly at: number;
  /** Called once if it is not. */
  readonly onMissed: () => void;
}

/**
 * Watches over many short calls with one timer. A timer of its own for each would cost a call that is answered within
 * microseconds more than all else that is done for it: the first and the last of a kind go down to the event loop.
 */
export class Deadlines {
  private readonly pending = new Set<Deadline>();
  private timer: NodeJS.Timeout | undefined;
  private nextLook = Infinity;

  constructor(private readonly clock: Clock) {}

  /** @returns the deadline, for {@link met} */
  set(limit: number, onMissed: () => void): Deadline {
    const deadline = { at: this.clock.monotonic() + limit, onMissed };
    this.pending.add(deadline);
    if (deadline.at < this.nextLook) this.lookAt(deadline.at, limit);
    return deadline;
  }

  /**
   * The timer goes on: the next call most likely comes before it fires.
   *
   * @returns false if it was missed
   */
  met(deadline: Deadline): boolean {
    return this.pending.delete(deadline);
  }

  /** Nothing is missed any more. */
  stop(): void {
    this.pending.clear();
    clearTimeout(this.timer);
    this.nextLook = Infinity;
  }

  private lookAt(time: number, delay: number): void {
    clearTimeout(this.timer);
    this.nextLook = time;
    // What is pending keeps the process alive by its socket.
    this.timer = setTimeout(() => this.look(), delay).unref();
  }

  private look(): void {
    const now = this.clock.monotonic();
    let next = Infinity;
    this.nextLook = Infinity;
    for (const deadline of this.pending) {
      if (deadline.at > now) next = Math.min(next, deadline.at);
      else {
        this.pending.delete(deadline);
        deadline.onMissed();
      }
    }
    if (next < this.nextLook) this.lookAt(next, next - now);
  }
}
