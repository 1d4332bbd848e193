import { isDeepStrictEqual } from "node:util";
import type { CheckOutcome, UndecidedReason } from "../events";
import type { ReadAnswer, Store } from "../store/store";
import type { CacheReporter } from "../telemetry/cache-reporter";
import type { History } from "../telemetry/history";
import type { EntryReader } from "./entry-reader";
import type { Lookup } from "./filler";
import type { LoadPlan, SharedLoadsOptions } from "./shared-loads";

/** What checking hits needs of the cache around it. */
export interface ConsistencyMeterOptions {
  /** Share of the hits that are checked, above 0 and at most 1. */
  readonly sampleRate: number;
  /** Where entries lie, without the copies of this process. */
  readonly store: Pick<Store, "read">;
  readonly transactions: SharedLoadsOptions["transactions"];
  readonly packing: SharedLoadsOptions["packing"];
  readonly reporter: CacheReporter;
  readonly report: EntryReader["report"];
  readonly history: History;
}

/** Checks at once; what is sampled while so many run is dropped, so that a slow database is not asked more and more. */
const MOST_AT_ONCE = 2;

type Hit = ReadAnswer & { readonly outcome: "hit" };

/**
 * Reads a sample of hits again from the database, behind the back of whoever got them, and tells what differs; see
 * docs/consistency.md, "A meter for production".
 *
 * A write may commit between the hit and the second reading, and then the two may differ. So the entry and its tags are looked at
 * before the database is asked and after it. A tag's token never comes back once it is gone: if it is the same at both looks it was so all
 * the while, the entry could have been served at the moment when the database was read, and had to be equal.
 */
export class ConsistencyMeter {
  private readonly running = new Set<Promise<void>>();
  private isClosed = false;

  constructor(private readonly options: ConsistencyMeterOptions) {}

  /**
   * A hit was served. Returns at once, and never throws.
   *
   * @param payload as it is stored
   */
  hit<Value>(lookup: Lookup, payload: string, planOf: () => LoadPlan<Value>): void {
    if (this.isClosed || Math.random() >= this.options.sampleRate) return;
    if (this.running.size >= MOST_AT_ONCE) return this.tell(lookup, { outcome: "dropped" });
    const at = Date.now();
    const check = this.check(lookup, payload, planOf, at)
      .catch(() => this.undecided(lookup, "failed"))
      .finally(() => this.running.delete(check));
    this.running.add(check);
  }

  /** Checks no more, and waits for those that run. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.running);
  }

  private async check<Value>(
    lookup: Lookup,
    payload: string,
    planOf: () => LoadPlan<Value>,
    at: number,
  ): Promise<void> {
    // Whoever got the hit goes first.
    await new Promise((resolve) => setImmediate(resolve));
    const first = await this.look(lookup);
    if (first?.payload !== payload) return this.undecided(lookup, "changed");
    const { transactions } = this.options;
    const before = transactions();
    // On a shared connection the database would be read inside of somebody's transaction.
    if (before.open) return this.undecided(lookup, "transaction");
    const { load, outcomesOf } = planOf();
    const [loaded] = outcomesOf(await load());
    const after = transactions();
    if (after.open || before.begun !== after.begun) return this.undecided(lookup, "transaction");
    if (loaded === undefined || typeof loaded.fill === "string") return this.undecided(lookup, "incomparable");
    const second = await this.look(lookup);
    if (second === undefined || !isSame(first, second)) return this.undecided(lookup, "changed");
    if (isEqual(this.options.packing.unpack(payload), loaded.fill.payload))
      return this.tell(lookup, { outcome: "equal" });
    this.mismatch(lookup, second, at);
  }

  /** The entry, if it is a hit whose tokens are known. */
  private async look({ key, group, text, tags }: Lookup): Promise<Hit | undefined> {
    const request = { key, group, query: text, tags, quiet: true, wantsTokens: true };
    const [answer] = await this.options.store.read([request]);
    return answer?.outcome === "hit" && answer.tokens !== undefined ? answer : undefined;
  }

  private mismatch(lookup: Lookup, { rowTags, filledAt }: Hit, at: number): void {
    const { history, report } = this.options;
    const now = Date.now();
    const tags = [...new Set([...lookup.tags, ...rowTags])];
    const filled = filledAt ?? history.filledAt(lookup.key)?.getTime();
    const invalidated = history.lastOf(tags);
    const details = {
      tags,
      sinceHit: now - at,
      ...(filled === undefined ? {} : { age: now - filled }),
      ...(invalidated === undefined ? {} : { invalidated }),
    };
    this.tell(lookup, { outcome: "mismatch", ...details });
    report(
      lookup.entity,
      "mismatch",
      `An entry of ${lookup.entity} is not what the database says, and would be served. Most likely something writes past this cache; see docs/consistency.md, "A meter for production".`,
      { key: lookup.key, ...details },
    );
  }

  private undecided(lookup: Lookup, why: UndecidedReason): void {
    this.tell(lookup, { outcome: "undecided", why });
  }

  private tell({ entity, key }: Lookup, outcome: CheckOutcome): void {
    this.options.reporter.emit("checked", { entity, key, ...outcome });
  }
}

function isSame(first: Hit, second: Hit): boolean {
  return first.payload === second.payload && isDeepStrictEqual([...first.tokens!], [...second.tokens!]);
}

/** Whether two payloads hold the same rows, in whatever order: the database promises none to who asks for none, or for too little. */
function isEqual(served: string, loaded: string): boolean {
  return served === loaded || isDeepStrictEqual(rowsIn(served), rowsIn(loaded));
}

function rowsIn(payload: string): readonly string[] {
  const content: unknown = JSON.parse(payload);
  if (!Array.isArray(content)) return [payload];
  // Of a statement: the names of the columns, then the rows.
  const [names, rows] = content as unknown[];
  const isResult = content.length === 2 && isList(names, "string") && isList(rows, "object");
  const all = isResult ? [names, ...rows] : content;
  return all.map((row) => JSON.stringify(row)).sort();
}

function isList(value: unknown, type: string): value is readonly unknown[] {
  return Array.isArray(value) && value.every((one) => typeof one === type);
}
