import { SingleFlight } from "../core/single-flight";
import { anyRowTag, groupOf, type Tag } from "../core/tag";
import type { PayloadPacking } from "../codec/payload-packing";
import type { UnfilledReason } from "../events";
import type { Fill, Filler, Lookup, Prepared } from "./filler";
import type { JointFlights } from "./joint-flights";

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
  readonly joint: JointFlights;
  readonly packing: PayloadPacking;
}

/** What a load has found; or the entry that another process has filled meanwhile. */
type Found<Value> = { readonly value: Value } | { readonly payload: string };

/** `own`: nobody else has got the value. */
export type Shared<Value> = { readonly value: Value; readonly own: boolean } | { readonly payload: string };

type Flight<Value> = Found<Value> & {
  /** Whether a reader that saw the same tokens may have it too. */
  readonly shareable: boolean;
};

/** How something is loaded, and what to fill then. */
export interface LoadPlan<Value> {
  /** Asks the database, on behalf of the caller alone or of everybody who waits. */
  readonly load: () => Promise<Value>;
  /** One outcome per query. */
  readonly outcomesOf: (value: Value) => readonly Outcome[];
  /** Throws if a payload is none of the query's. */
  readonly open: (payload: string) => unknown;
}

/** PREPARE, load, fill: once for all who miss the same thing in the same state of its tags. */
export class SharedLoads<Value> {
  private readonly flights = new SingleFlight<Flight<Value>>();
  private readonly renewed = new Set<string>();

  constructor(private readonly options: SharedLoadsOptions) {}

  async run(missed: readonly Lookup[], plan: LoadPlan<Value>): Promise<Shared<Value>> {
    const { filler, guarded } = this.options;
    const prepared = await guarded("prepare", () => filler.prepare(missed));
    if (prepared?.fillable !== true && (prepared === undefined || missed.length === 1)) {
      if (prepared !== undefined) for (const one of missed) filler.unfilled(one, "locked");
      return { value: await plan.load(), own: true };
    }
    // Were some tag locked, two states of it would look alike, so that load stays its caller's own.
    if (prepared.state === undefined) return { value: (await this.loadAndFill(prepared, plan)).value, own: true };
    const { value: flight, own } = await this.flights.run(nameOf(missed, prepared.state), () =>
      this.inTurn(missed, prepared, plan),
    );
    if (!own && !flight.shareable) return { value: await plan.load(), own: true };
    return "payload" in flight ? flight : { value: flight.value, own };
  }

  /** Loads what was served although it is stale, unless somebody does already. Nobody waits for it, and nobody hears of errors. */
  renew(stale: readonly Lookup[], plan: LoadPlan<Value>): void {
    const name = nameOf(stale, "");
    if (this.renewed.has(name)) return;
    this.renewed.add(name);
    void this.reload(stale, plan)
      .catch(() => stale.forEach((one) => this.options.filler.unfilled(one, "failed")))
      .finally(() => this.renewed.delete(name));
  }

  private async reload(stale: readonly Lookup[], plan: LoadPlan<Value>): Promise<void> {
    const { filler, guarded, joint } = this.options;
    const prepared = await guarded("prepare", () => filler.prepare(stale));
    // Where somebody writes, whoever reads after him tries again.
    if (prepared?.fillable !== true || prepared.state === undefined) return;
    const { state } = prepared;
    const only = jointly(stale);
    const turn = only && (await joint.claim(only));
    if (only !== undefined && turn === undefined) return;
    try {
      await this.flights.run(nameOf(stale, state), () => this.loadAndFill(prepared, plan));
    } finally {
      await turn?.end();
    }
  }

  /** Among all processes, if that was asked for. */
  private async inTurn(missed: readonly Lookup[], prepared: Prepared, plan: LoadPlan<Value>): Promise<Flight<Value>> {
    const only = jointly(missed);
    if (only === undefined) return this.loadAndFill(prepared, plan);
    const turn = await this.options.joint.enter(only);
    if (!("end" in turn)) {
      const payload = this.payloadIn(turn, plan);
      if (payload === undefined) return this.loadAndFill(prepared, plan);
      return { payload, shareable: turn.rowTags.every((tag) => covers(prepared, tag)) };
    }
    try {
      return await this.loadAndFill(prepared, plan);
    } finally {
      await turn.end();
    }
  }

  private payloadIn({ payload: packed }: { readonly payload: string }, { open }: LoadPlan<Value>): string | undefined {
    try {
      const payload = this.options.packing.unpack(packed);
      open(payload);
      return payload;
    } catch {
      return undefined; // It would be the same the next time.
    }
  }

  private async loadAndFill(
    prepared: Prepared,
    { load, outcomesOf }: LoadPlan<Value>,
  ): Promise<Flight<Value> & { readonly value: Value }> {
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

/** By the text of the queries, not by their keys: a key builder may give one key to two of them. */
function nameOf(lookups: readonly Lookup[], state: string): string {
  return [...lookups.map(({ text }) => text), state].join("\n");
}

/** The one entry whose load is to be shared among all processes. */
function jointly([only, ...others]: readonly Lookup[]): Lookup | undefined {
  return others.length === 0 && only?.settings.singleFlight === "everywhere" ? only : undefined;
}

/** Whether the tokens that were compared before joining a load would have shown a write of this row. */
function covers({ tokens }: Prepared, tag: Tag): boolean {
  return tokens.has(tag) || tokens.has(anyRowTag(groupOf(tag)));
}
