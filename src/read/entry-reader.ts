import type { Awaitable } from "../core/awaitable";
import type { PayloadPacking } from "../codec/payload-packing";
import type { MissReason } from "../events";
import type { CacheLogger } from "../options";
import type { ReadAnswer, ReadRequest, Store } from "../store/store";
import type { CacheReporter } from "../telemetry/cache-reporter";
import type { ReadOperation } from "../telemetry/operations";
import type { Filler, Lookup } from "./filler";

/** What the store had of what was asked for. */
export interface Looked<Asked extends Lookup, Content> {
  readonly hits: readonly Content[];
  readonly missed: readonly Asked[];
  /** Those among the hits that are to be loaded anew, because they are stale. */
  readonly stale: readonly Asked[];
}

/** How a payload becomes what the caller gets: decoded once where a copy of it is kept, and made anew for each caller. */
export interface Opening<Decoded, Content> {
  /** Throws if the payload is not what it must be. */
  decode(payload: string): Decoded;
  /** Throws likewise. */
  make(decoded: Decoded): Content;
  /** Whether nothing of what was decoded gets into the hands of a caller. All openings of one query decode alike. */
  isReusable(decoded: Decoded): boolean;
}

/** Told of a hit, and of its payload as it is stored. */
export type Checked<Asked extends Lookup> = (hit: Asked, payload: string) => void;

/** What reading entries needs of the cache around it. */
export interface EntryReaderOptions {
  readonly store: Store;
  readonly filler: Filler;
  readonly packing: PayloadPacking;
  readonly reporter: CacheReporter;
  readonly logger: CacheLogger;
}

/** Asks the store for entries and tells what came of it. Reads never fail because of the store. */
export class EntryReader {
  /** What was reported already: each fault of an entity is, once. */
  private readonly reported = new Set<string>();

  constructor(private readonly options: EntryReaderOptions) {}

  /**
   * Asks in one round trip; what cannot be opened is a miss like any other.
   *
   * @param checked told of each hit that is not stale; undefined if nobody checks them
   * @param operation gets what came of it; undefined if nobody listens
   * @returns undefined if the store did not answer
   */
  look<Asked extends Lookup, Decoded, Content>(
    asked: readonly Asked[],
    opening: Opening<Decoded, Content>,
    checked?: Checked<Asked>,
    operation?: ReadOperation,
  ): Awaitable<Looked<Asked, Content> | undefined> {
    let answers: Awaitable<readonly ReadAnswer[]>;
    try {
      answers = this.options.store.read(this.requestsFor(asked, false));
    } catch (error) {
      return this.failed("read", error, operation);
    }
    if (Array.isArray(answers)) {
      return noted(this.openAll(asked, answers as readonly ReadAnswer[], opening, checked), operation);
    }
    // A store may have made its promise with something else than ours.
    return Promise.resolve(answers).then(
      (found) => noted(this.openAll(asked, found, opening, checked), operation),
      (error: unknown) => this.failed("read", error, operation),
    );
  }

  /** What the store has, without counting anything; undefined if it did not answer. */
  ask(asked: readonly Lookup[]): Promise<ReadAnswer[] | undefined> {
    return this.guarded("read", async () => this.options.store.read(this.requestsFor(asked, true)));
  }

  private requestsFor(asked: readonly Lookup[], quiet: boolean): ReadRequest[] {
    return asked.map(({ key, group, text, tags, revealing }) => {
      const rowTags = revealing.length > 0 ? this.options.filler.hintOf(key) : undefined;
      const request = quiet ? { key, group, query: text, tags, quiet } : { key, group, query: text, tags };
      return rowTags === undefined ? request : { ...request, rowTags };
    });
  }

  /** Runs a call of the store; undefined if it failed. */
  async guarded<Result>(operation: string, call: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await call();
    } catch (error) {
      return this.failed(operation, error);
    }
  }

  private failed(operation: string, error: unknown, read?: ReadOperation): undefined {
    this.options.reporter.emit("storeError", { operation, error });
    if (read !== undefined) Object.assign(read, { outcome: "bypass", reason: "store-unavailable" });
  }

  /** Warns of a fault of an entity, the first time. */
  report(entity: string, fault: string, message: string, details: unknown): void {
    if (this.reported.has(`${entity} ${fault}`)) return;
    this.reported.add(`${entity} ${fault}`);
    this.options.logger.warn(message, details);
  }

  private openAll<Asked extends Lookup, Decoded, Content>(
    asked: readonly Asked[],
    answers: readonly ReadAnswer[],
    opening: Opening<Decoded, Content>,
    checked: Checked<Asked> | undefined,
  ): Looked<Asked, Content> {
    if (asked.length === 1) {
      const opened = this.open(asked[0]!, answers[0]!, opening, checked);
      if (opened === undefined) return { hits: NONE, missed: asked, stale: NONE };
      return { hits: [opened.content], missed: NONE, stale: opened.isStale ? asked : NONE };
    }
    const hits: Content[] = [];
    const missed: Asked[] = [];
    const stale: Asked[] = [];
    for (let index = 0; index < asked.length; index += 1) {
      const opened = this.open(asked[index]!, answers[index]!, opening, checked);
      if (opened === undefined) missed.push(asked[index]!);
      else hits.push(opened.content);
      if (opened?.isStale === true) stale.push(asked[index]!);
    }
    return { hits, missed, stale };
  }

  private open<Asked extends Lookup, Decoded, Content>(
    lookup: Asked,
    answer: ReadAnswer,
    opening: Opening<Decoded, Content>,
    checked: Checked<Asked> | undefined,
  ): { readonly content: Content; readonly isStale: boolean } | undefined {
    const { filler, reporter } = this.options;
    const { entity, key } = lookup;
    // The rows of a stale entry are older than those of a load since: believed again and again, they would never let a
    // list be filled that has gained a row.
    if (answer.outcome === "hit" || filler.hintOf(key) === undefined) filler.remember(key, answer.rowTags);
    const served = servable(lookup, answer);
    if (served === undefined) return this.miss(entity, key, answer.outcome === "miss" ? answer.why : "stale");
    let content: Content;
    try {
      content = this.contentOf(served, opening);
    } catch {
      return this.miss(entity, key, "corrupt");
    }
    const { age } = served;
    if (age === undefined) {
      reporter.emit("hit", { entity, key });
      checked?.(lookup, served.payload);
    } else reporter.emit("staleHit", { entity, key, age });
    return { content, isStale: age !== undefined };
  }

  private contentOf<Decoded, Content>(served: Served, opening: Opening<Decoded, Content>): Content {
    if (served.decoded !== undefined) return opening.make(served.decoded as Decoded);
    const decoded = opening.decode(this.options.packing.unpack(served.payload));
    if (served.isKept === true && opening.isReusable(decoded)) served.decoded = decoded;
    return opening.make(decoded);
  }

  private miss(entity: string, key: string, why: MissReason): undefined {
    this.options.reporter.emit("miss", { entity, key, why });
    if (why === "corrupt") {
      this.report(
        entity,
        why,
        `The store holds something under a key of ${entity} that is no entry of this cache. It is loaded and stored anew; see that nothing else writes under the namespace.`,
        { key },
      );
    } else if (why === "unsigned") {
      this.report(
        entity,
        why,
        `The store holds an entry of ${entity} that is not signed with the entrySecret. It is loaded and stored anew; see that all processes have the same entrySecret, and that nobody else can write to the store.`,
        { key },
      );
    } else if (why === "collision") {
      this.report(
        entity,
        why,
        `The key builder of ${entity} gives two queries the same key, so they drive each other out. Make use of the digest that it gets.`,
        { key },
      );
    }
  }
}

const NONE: readonly never[] = [];

function noted<Asked extends Lookup, Content>(
  looked: Looked<Asked, Content>,
  operation: ReadOperation | undefined,
): Looked<Asked, Content> {
  if (operation === undefined) return looked;
  const { hits, missed, stale } = looked;
  operation.outcome = missed.length > 0 ? "miss" : stale.length > 0 ? "stale" : "hit";
  operation.hits = hits.length;
  operation.misses = missed.length;
  return looked;
}

/** What of an answer is served. */
interface Served {
  readonly payload: string;
  readonly age?: number;
  readonly isKept?: boolean;
  decoded?: unknown;
}

/** What may be served of an answer, and its age if it is stale; see {@link CachedOptions.staleWhileRevalidate}. */
function servable({ ttl, settings: { staleWhileRevalidate } }: Lookup, answer: ReadAnswer): Served | undefined {
  const isHit = answer.outcome === "hit";
  const entry = isHit ? answer : answer.last;
  if (staleWhileRevalidate === undefined || entry?.filledAt === undefined) return isHit ? answer : undefined;
  const age = Date.now() - entry.filledAt;
  if (isHit && age <= ttl) return answer;
  // The clock of whoever filled it may be ahead of ours.
  return Math.abs(age) <= staleWhileRevalidate ? { payload: entry.payload, age } : undefined;
}
