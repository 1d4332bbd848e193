import { epochTag, groupOf, type Tag } from "../core/tag";

/** More tags than this, and the epochs of their tables take their place. */
const MOST_TAGS = 10_000;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2000;

/**
 * Invalidations that the store did not take. Until it has taken them all, this process reads from the database: what it has
 * committed itself must not come back to it stale.
 */
export class PendingInvalidations {
  private tags = new Set<Tag>();
  /** Sent, and not answered: a tag that is added again meanwhile must be sent again. */
  private sent: ReadonlySet<Tag> = new Set();
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private delay = FIRST_RETRY_MS;
  private draining: Promise<void> | undefined;

  /** @param invalidate rejects if the store does not answer */
  constructor(private readonly invalidate: (tags: readonly Tag[]) => Promise<void>) {}

  get size(): number {
    return this.tags.size + this.sent.size;
  }

  add(tags: readonly Tag[]): void {
    for (const tag of tags) this.tags.add(tag);
    if (this.tags.size > MOST_TAGS) this.tags = new Set(Array.from(this.tags, (tag) => epochTag(groupOf(tag))));
    this.schedule();
  }

  /** Tries once, now; on failure it goes on by itself with growing pauses. */
  drain(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    this.draining ??= this.tryOnce().finally(() => {
      this.draining = undefined;
      if (this.tags.size > 0) this.schedule();
    });
    return this.draining;
  }

  /** Gives up; the store is about to be closed. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private async tryOnce(): Promise<void> {
    const batch = this.tags;
    [this.sent, this.tags] = [batch, new Set()];
    try {
      await this.invalidate([...batch]);
      this.sent = new Set();
      this.delay = FIRST_RETRY_MS;
    } catch {
      this.delay = Math.min(LAST_RETRY_MS, this.delay * 2);
      this.sent = new Set();
      this.add([...batch]);
    }
  }

  private schedule(): void {
    if (this.timer !== undefined || this.stopped) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.drain();
    }, this.delay);
    this.timer.unref();
  }
}
