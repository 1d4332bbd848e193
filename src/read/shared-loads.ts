import { SingleFlight } from "../core/single-flight";
import { anyRowTag, groupOf, type Tag } from "../core/tag";
import type { UnfilledReason } from "../events";
import type { Fill, Filler, Lookup, Prepared } from "./filler";

/** What a load found for one query: an entry, or why there is none. */
export type Outcome = Lookup & { readonly fill: Fill | UnfilledReason };

/** What loads need of the cache around them. */
export interface SharedLoadsOptions {
  readonly filler: Filler;
  /** Runs a call of the store; undefined if the store failed. */
  readonly guarded: <Result>(operation: string, call: () => Promise<Result>) => Promise<Result | undefined>;
  /**
   * Tells whether the connection that a load would use is inside somebody's transaction now, and changes its answer's
   * `begun` if one began meanwhile. On SQLite all of a process share one.
   */
  readonly transactions: () => { readonly open: boolean; readonly begun: number };
}

interface Flight<Value> {
  readonly value: Value;
  /** Whether a reader that saw the same tokens may have it too. */
  readonly shareable: boolean;
}

/** PREPARE, load, fill: once for all who miss the same thing in the same state of its tags. */
export class SharedLoads<Value> {
  private readonly flights = new SingleFlight<Flight<Value>>();

  constructor(private readonly options: SharedLoadsOptions) {}

  /**
   * @param load asks the database, on behalf of the caller alone or of everybody who waits
   * @param outcomesOf one outcome per missed query
   * @returns the value, and whether nobody else has got it
   */
  async run(
    missed: readonly Lookup[],
    load: () => Promise<Value>,
    outcomesOf: (value: Value) => readonly Outcome[],
  ): Promise<{ readonly value: Value; readonly own: boolean }> {
    const { filler, guarded } = this.options;
    const prepared = await guarded("prepare", () => filler.prepare(missed));
    if (prepared?.fillable !== true && (prepared === undefined || missed.length === 1)) {
      if (prepared !== undefined) for (const one of missed) filler.unfilled(one, "locked");
      return { value: await load(), own: true };
    }
    const loadAndFill = () => this.loadAndFill(prepared, load, outcomesOf);
    // Were some tag locked, two states of it would look alike, so that load stays its caller's own.
    if (prepared.state === undefined) return { value: (await loadAndFill()).value, own: true };
    // By the text of the queries, not by their keys: a key builder may give one key to two of them.
    const name = [...missed.map(({ text }) => text), prepared.state].join("\n");
    const { value: flight, own } = await this.flights.run(name, loadAndFill);
    return own || flight.shareable ? { value: flight.value, own } : { value: await load(), own: true };
  }

  private async loadAndFill(
    prepared: Prepared,
    load: () => Promise<Value>,
    outcomesOf: (value: Value) => readonly Outcome[],
  ): Promise<Flight<Value>> {
    const { filler, guarded, transactions } = this.options;
    const before = transactions();
    const value = await load();
    const after = transactions();
    const outcomes = outcomesOf(value);
    // What a shared connection shows inside of a transaction may be rolled back: it is nobody's but the caller's.
    if (before.open || after.open || before.begun !== after.begun) {
      for (const one of outcomes) filler.unfilled(one, "transaction");
      return { value, shareable: false };
    }
    const fills = outcomes.flatMap(({ fill, ...one }) => {
      if (typeof fill !== "string") return [{ ...one, fill }];
      filler.unfilled(one, fill);
      return [];
    });
    await guarded("fill", () => filler.fill(prepared, fills));
    const covered = fills.every(({ fill }) => fill.rowTags.every((tag) => covers(prepared, tag)));
    return {
      value,
      shareable: covered && outcomes.every(({ fill }) => fill !== "unencodable" && fill !== "ambiguous"),
    };
  }
}

/** Whether the tokens that were compared before joining a load would have shown a write of this row. */
function covers({ tokens }: Prepared, tag: Tag): boolean {
  return tokens.has(tag) || tokens.has(anyRowTag(groupOf(tag)));
}
