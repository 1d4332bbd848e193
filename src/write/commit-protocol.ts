import type { Change } from "../core/change";
import type { Clock } from "../core/clock";
import { isBarrier, type Tag } from "../core/tag";
import type { Token, TokenSource } from "../core/token";
import { LockError } from "../errors";
import type { WritePath } from "../events";
import type { CacheLogger, Consistency } from "../options";
import type { Store, WriteThroughRequest } from "../store/store";
import type { CacheReporter } from "../telemetry/cache-reporter";
import { aboutTags } from "../telemetry/event-channels";
import type { LockOperation } from "../telemetry/operations";
import type { PendingInvalidations } from "./pending-invalidations";
import { sendInvalidation } from "./send-invalidation";

/** What has to be locked before a COMMIT. */
export interface LockPlan {
  readonly tags: readonly Tag[];
  /** Tags whose tokens entries that are written through will carry; captured at the lock. */
  readonly readTags: readonly Tag[];
  /** What writes, for events. */
  readonly cause: string;
  readonly path: WritePath;
}

/** Tags in the hands of a writer, from LOCK to UNLOCK. */
export interface HeldLock {
  readonly holder: string;
  readonly tags: ReadonlySet<Tag>;
  /** Tokens of the read tags; a missing one means that nothing may be written through under it. */
  readonly tokens: ReadonlyMap<Tag, Token>;
  /** False in relaxed mode, and in available mode when the store did not answer. */
  readonly locked: boolean;
  /** When LOCK was sent, on the monotonic clock. */
  readonly since: number;
  /** When the first LOCK of this holder was. */
  readonly first: number;
}

/** What is done at the end of a lock. */
export interface Ending {
  readonly cause: string;
  readonly path: WritePath;
  /** The lock was renewed, so it may have been lost before. */
  readonly renewed?: boolean;
  /** Entries to write through, under this token. */
  readonly entries?: (token: Token) => readonly WriteThroughRequest[];
  /** Invalidated too if the lock was not held from beginning to end. */
  readonly searched?: readonly Tag[];
  /** What those who listen are told of, besides the tags. */
  readonly told?: readonly Change[];
}

/** Makes the messages that tell of invalidated tags, by group; they are sent at once, in the order in which they were made. */
export type Announce = (tags: Iterable<Tag>, told?: readonly Change[]) => ReadonlyMap<string, string> | undefined;

/** What the protocol needs of the cache around it. */
export interface CommitProtocolOptions {
  readonly store: Store;
  readonly pending: PendingInvalidations;
  readonly consistency: Consistency;
  readonly lockTtl: number;
  /** Milliseconds that a tag with a new token lives. */
  readonly tagTtl: () => number;
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly reporter: CacheReporter;
  readonly logger: CacheLogger;
  /** Undefined if nobody is told. */
  readonly announce?: Announce | undefined;
  /** Makes the messages that tell of locked tags; undefined if nobody must know. */
  readonly announceLock?: ((tags: readonly Tag[]) => ReadonlyMap<string, string> | undefined) | undefined;
}

const MOST_ATTEMPTS = 3;

/** LOCK -> COMMIT -> UNLOCK; see docs/architecture.md for why each step is there. */
export class CommitProtocol {
  private readonly renewals = new Set<NodeJS.Timeout>();

  constructor(private readonly options: CommitProtocolOptions) {}

  /**
   * Locks what a plan names, or adds it to what is held already.
   *
   * @throws LockError in strict mode, `LOCK_FAILED` if the store does not answer, `LOCK_TOO_SLOW` if it answers too late for
   *   a COMMIT to be safe under the lock
   */
  async lock(plan: LockPlan, held?: HeldLock): Promise<HeldLock> {
    const tags = new Set([...(held?.tags ?? []), ...plan.tags]);
    const holder = held?.holder ?? this.options.tokens();
    const since = this.options.clock.monotonic();
    const first = held?.first ?? since;
    const unlocked: HeldLock = { holder, tags, tokens: new Map(), locked: false, since, first };
    if (this.options.consistency === "relaxed") return unlocked;
    try {
      return await this.lockInTime(plan, tags, holder, held);
    } catch (cause) {
      this.options.reporter.emit("storeError", { operation: "lock", error: cause });
      // LOCK may have arrived although its answer did not: what it left is void after the lock TTL, or now.
      void this.unlock(unlocked, plan, []).catch(() => undefined);
      if (this.options.consistency === "strict") throw strictError(cause);
      return unlocked;
    }
  }

  /**
   * Locks barriers, or adds them to what is held already and has not run out.
   *
   * @returns undefined if they could not be locked: then nothing can be searched for, which is no fault
   */
  async hold(barriers: readonly Tag[], path: WritePath, held?: HeldLock): Promise<HeldLock | undefined> {
    if (this.options.consistency === "relaxed") return undefined;
    const known = held !== undefined && this.isUnbroken(held) ? held : undefined;
    const tags = new Set([...(known?.tags ?? []), ...barriers]);
    const holder = known?.holder ?? this.options.tokens();
    try {
      const plan = { tags: barriers, readTags: [], cause: "search", path };
      const found = await this.lockInTime(plan, tags, holder, known);
      return known === undefined || this.isUnbroken(known) ? found : undefined;
    } catch (cause) {
      this.options.reporter.emit("storeError", { operation: "lock", error: cause });
      return undefined;
    }
  }

  /** Whether a lock that was renewed just now had not run out before. */
  isUnbroken(held: HeldLock): boolean {
    return held.locked && this.options.clock.monotonic() - held.since < this.options.lockTtl;
  }

  /** Whether a COMMIT sent now is safe: the lock outlives it by half its TTL. */
  isFresh(held: HeldLock): boolean {
    return !held.locked || this.options.clock.monotonic() - held.since < this.options.lockTtl / 2;
  }

  /**
   * Keeps a lock alive while its COMMIT or statement is under way.
   *
   * @returns a function that stops that and says whether the lock was renewed. Then nothing may be written through: the lock
   *   may have been lost before, with every trace of another writer who came and went, and the row have been read before that.
   */
  keepAlive(held: HeldLock): () => boolean {
    if (!held.locked) return () => false;
    let renewed = false;
    const timer = setInterval(() => {
      renewed = true;
      this.options.store.lock([...held.tags], held.holder, [], this.options.tagTtl()).catch(() => undefined);
    }, this.options.lockTtl / 3);
    timer.unref();
    this.renewals.add(timer);
    return () => {
      clearInterval(timer);
      this.renewals.delete(timer);
      return renewed;
    };
  }

  /** Renews nothing any more: the store is about to be closed. */
  stop(): void {
    for (const timer of this.renewals) clearInterval(timer);
    this.renewals.clear();
  }

  /**
   * Ends a lock. Never rejects: the rows are committed, and a caller who was told otherwise would write them twice.
   *
   * @param outcome failed: the database refused, but may have carried out a part; unknown: no answer came, so that the rows may be
   *   committed even later. The lock then stays until its TTL has passed.
   */
  async release(
    held: HeldLock,
    outcome: "committed" | "rolled-back" | "failed" | "unknown",
    ending: Ending,
  ): Promise<void> {
    const { cause, path, renewed = false, entries = () => [], searched = [], told = [] } = ending;
    const { reporter, logger, pending } = this.options;
    const tags = held.locked ? [...held.tags] : [...held.tags, ...searched];
    if (!held.locked) return outcome === "rolled-back" ? undefined : this.invalidate(tags, ending, told);
    try {
      if (outcome !== "unknown") {
        const token = this.options.tokens();
        const write = outcome === "committed" ? entries(token) : [];
        const answer = await this.unlock(held, ending, write, token, outcome === "rolled-back" ? undefined : told);
        if ((renewed || !answer.held) && outcome !== "rolled-back") await this.invalidate(searched, ending);
        if (!answer.held && outcome !== "rolled-back") {
          logger.warn(
            `A lock was lost before its COMMIT had returned (${cause}). If COMMITs take long, raise the option lockTtl.`,
          );
        }
      } else await this.tell(tags, told);
      if (outcome !== "rolled-back") reporter.emit("invalidate", { tags, cause, path });
    } catch (error) {
      reporter.emit("storeError", { operation: "unlock", error });
      pending.add([...tags, ...searched]);
    }
  }

  /** Makes what depends on these tags unreadable, now or as soon as the store answers. Never rejects. */
  async invalidate(
    tags: readonly Tag[],
    { cause, path }: Pick<Ending, "cause" | "path">,
    told: readonly Change[] = [],
  ): Promise<void> {
    const { reporter, pending } = this.options;
    if (tags.length === 0) return;
    try {
      await sendInvalidation(this.options, { tags, cause, path, told });
    } catch (error) {
      reporter.emit("storeError", { operation: "invalidate", error });
      pending.add(tags);
    }
  }

  /** For rows that may have been committed, or may be yet, under a lock that stays. */
  private async tell(tags: readonly Tag[], told: readonly Change[]): Promise<void> {
    const messages = this.options.announce?.(tags, told);
    if (messages !== undefined) await this.options.store.invalidate([], messages);
  }

  /** @param told undefined if nothing has changed */
  private unlock(
    held: HeldLock,
    { cause, path }: Pick<Ending, "cause" | "path">,
    entries: readonly WriteThroughRequest[],
    token = this.options.tokens(),
    told?: readonly Change[],
  ) {
    const { store, tagTtl, announce, reporter, clock } = this.options;
    const watched = Array.from(held.tokens, ([tag, token]) => ({ tag, token })).filter(({ tag }) => isBarrier(tag));
    const messages = told === undefined ? undefined : announce?.(held.tags, told);
    const tags = [...held.tags];
    const request = { tags, holder: held.holder, token, tagTtl: tagTtl(), watched, entries, messages };
    return reporter.trace(
      "unlock",
      () => ({ ...aboutTags(tags), cause, path }),
      (operation) => {
        if (operation === undefined) return store.unlock(request);
        return store.unlock(request).finally(() => (operation.held = clock.monotonic() - held.first));
      },
    );
  }

  private lockInTime(plan: LockPlan, tags: ReadonlySet<Tag>, holder: string, before?: HeldLock): Promise<HeldLock> {
    const { cause, path } = plan;
    const about = () => ({ ...aboutTags([...tags]), cause, path });
    return this.options.reporter.trace("lock", about, (operation) =>
      this.attemptToLock(plan, tags, holder, before, operation),
    );
  }

  private async attemptToLock(
    plan: LockPlan,
    tags: ReadonlySet<Tag>,
    holder: string,
    before: HeldLock | undefined,
    operation: LockOperation | undefined,
  ): Promise<HeldLock> {
    const { store, clock, lockTtl, tagTtl, reporter, announceLock } = this.options;
    const begun = clock.monotonic();
    for (let attempt = 1; ; attempt += 1) {
      if (operation !== undefined) operation.attempts = attempt;
      const since = clock.monotonic();
      const messages = announceLock?.([...tags]);
      const tokens = await store.lock([...tags], holder, plan.readTags, tagTtl(), messages);
      const found = plan.readTags.map((tag, index) => [tag, tokens[index] ?? ""] as const);
      const held: HeldLock = {
        holder,
        tags,
        tokens: new Map(found.filter(([, token]) => token !== "")),
        locked: true,
        since,
        first: before?.first ?? begun,
      };
      if (this.isFresh(held)) {
        reporter.emit("lock", { tags: [...tags], cause: plan.cause, path: plan.path });
        return held;
      }
      if (attempt === MOST_ATTEMPTS) {
        throw new LockError(
          "LOCK_TOO_SLOW",
          `The store took ${Math.round(clock.monotonic() - since)} ms to lock, more than half of lockTtl (${lockTtl} ms). Nothing was committed: try again, or raise lockTtl.`,
        );
      }
    }
  }
}

function strictError(cause: unknown): LockError {
  if (cause instanceof LockError) return cause;
  return new LockError(
    "LOCK_FAILED",
    'The cache could not be locked, so nothing was committed. Try again, or use consistency "available" to commit without the cache.',
    { cause },
  );
}
