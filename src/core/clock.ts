/** Time as this process measures it. Never compared with the clock of another machine. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never runs backwards. */
  monotonic(): number;
}

/** The process's own monotonic clock. */
export const systemClock: Clock = { monotonic: () => performance.now() };
