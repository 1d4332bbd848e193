import { describe, expect, it } from "@jest/globals";
import { SharedLoads, type Outcome } from "../../../src/read/shared-loads";
import type { Filler, Lookup, Prepared } from "../../../src/read/filler";

const tag = (name: string) => `t|${name}`;
const keyed = (text: string, key = text) => ({ key, text, settings: {} }) as unknown as Lookup;
const filled = (one: Lookup, rowTags: readonly string[] = []): Outcome => ({
  ...one,
  fill: { payload: "", rowTags, ttl: 1 },
});

/** Loads over a filler that says what the test wants, and notes what it is told. */
function setUp() {
  const notes: string[] = [];
  const prepared: Prepared[] = [];
  let transaction = { open: false, begun: 0 };
  const filler = {
    prepare: () => Promise.resolve(prepared.shift()),
    fill: (_: Prepared, fills: readonly Outcome[]) => {
      notes.push(`filled ${fills.length}`);
      return Promise.resolve();
    },
    unfilled: ({ key }: Lookup, why: string) => notes.push(`${key} unfilled: ${why}`),
  } as unknown as Filler;
  const loads = new SharedLoads<{ readonly made: number }>({
    filler,
    guarded: async (_, call) => call().catch(() => undefined),
    transactions: () => transaction,
    // Nothing here is to be shared with other processes.
    joint: undefined as never,
    packing: undefined as never,
  });
  let made = 0;
  type Plan = Parameters<typeof loads.run>[1];
  const run = async (missed: readonly Lookup[], load: Plan["load"], outcomesOf: Plan["outcomesOf"]) => {
    const shared = await loads.run(missed, { load, outcomesOf, open: () => undefined });
    if ("payload" in shared) throw new Error("Nobody else has filled it.");
    return shared;
  };
  return {
    loads: { run },
    notes,
    /** What PREPARE answers the next callers with. */
    state: (...tokens: (readonly [string, string])[]) => {
      const found = new Map(tokens.map(([name, token]) => [tag(name), token]));
      const locked = tokens.some(([, token]) => token === "");
      const state = locked ? undefined : [...found.values()].join(" ");
      prepared.push({ tokens: found, fillable: !locked, state, at: 0 });
    },
    unanswered: () => prepared.push(undefined as never),
    load: () => Promise.resolve({ made: ++made }),
    setTransaction: (next: typeof transaction) => (transaction = next),
  };
}

describe("shared loads", () => {
  it("are one for all that saw the same state of the same query", async () => {
    const { loads, state, load, notes } = setUp();
    const one = keyed("a");
    for (let reader = 0; reader < 3; reader += 1) state(["", "T1"]);
    const results = await Promise.all([1, 2, 3].map(() => loads.run([one], load, () => [filled(one)])));
    expect(results.map(({ value, own }) => [value.made, own])).toEqual([
      [1, true],
      [1, false],
      [1, false],
    ]);
    expect(notes).toEqual(["filled 1"]);
    state(["", "T1"]);
    expect((await loads.run([one], load, () => [filled(one)])).value.made).toBe(2);
  });

  it.each([
    ["another state", () => [keyed("a"), keyed("a")], ["T1", "T2"]],
    ["another query under the same key", () => [keyed("a", "key"), keyed("b", "key")], ["T1", "T1"]],
    ["a locked tag", () => [keyed("a"), keyed("a")], ["", ""]],
  ])("are not shared over %s", async (_, queries, tokens) => {
    const { loads, state, load } = setUp();
    for (const token of tokens) state(["", token]);
    const results = await Promise.all(queries().map((one) => loads.run([one], load, () => [filled(one)])));
    expect(results.map(({ value, own }) => [value.made, own])).toEqual([
      [1, true],
      [2, true],
    ]);
  });

  it.each([
    ["returns a row that nobody had guessed", ["id=1"], false],
    ["returns a row that was guessed", ["guessed"], true],
  ])("one that %s", async (_, rowTags, shared) => {
    const { loads, state, load } = setUp();
    const one = keyed("a");
    for (let reader = 0; reader < 2; reader += 1) state(["", "T1"], ["guessed", "T2"]);
    const run = () => loads.run([one], load, () => [filled(one, rowTags.map(tag))]);
    const results = await Promise.all([run(), run()]);
    expect(results[1]).toMatchObject({ own: !shared, value: { made: shared ? 1 : 2 } });
  });

  it("the tag that every row write touches stands for rows that nobody had guessed", async () => {
    const { loads, state, load } = setUp();
    const one = keyed("a");
    for (let reader = 0; reader < 2; reader += 1) state(["", "T1"], ["*", "T2"]);
    const run = () => loads.run([one], load, () => [filled(one, [tag("id=1")])]);
    expect((await Promise.all([run(), run()]))[1]).toMatchObject({ own: false });
  });

  it.each([
    ["open before", { open: true, begun: 1 }, { open: false, begun: 1 }],
    ["open after", { open: false, begun: 0 }, { open: true, begun: 1 }],
    ["begun and ended meanwhile", { open: false, begun: 0 }, { open: false, begun: 1 }],
  ])("beside a transaction that was %s are kept by nobody and shared with nobody", async (_, before, after) => {
    const { loads, state, load, notes, setTransaction } = setUp();
    const one = keyed("a");
    for (let reader = 0; reader < 2; reader += 1) state(["", "T1"]);
    setTransaction(before);
    const run = () =>
      loads.run(
        [one],
        () => {
          setTransaction(after);
          return load();
        },
        () => [filled(one)],
      );
    const results = await Promise.all([run(), run()]);
    expect(results.map(({ own }) => own)).toEqual([true, true]);
    expect(results[0].value).not.toBe(results[1].value);
    expect(notes).toEqual(["a unfilled: transaction"]);
  });

  it("of a single locked query are not even prepared for a fill; of several, what can be filled is", async () => {
    const { loads, state, load, notes } = setUp();
    const [one, other] = [keyed("a"), keyed("b")];
    state(["", ""]);
    await loads.run([one], load, () => {
      throw new Error("never asked");
    });
    expect(notes).toEqual(["a unfilled: locked"]);
    state(["", "T1"], ["id=1", ""]);
    await loads.run([one, other], load, () => [filled(one), filled(other)]);
    expect(notes.at(-1)).toBe("filled 2");
  });

  it("go on without a store that does not answer", async () => {
    const { loads, unanswered, load, notes } = setUp();
    unanswered();
    expect(await loads.run([keyed("a")], load, () => [])).toEqual({ own: true, value: { made: 1 } });
    expect(notes).toEqual([]);
  });

  it("fail for all who wait, and for nobody after that", async () => {
    const { loads, state, load } = setUp();
    const one = keyed("a");
    const failing = () => Promise.reject(new Error("no connection"));
    for (let reader = 0; reader < 3; reader += 1) state(["", "T1"]);
    const waiting = [1, 2].map(() => loads.run([one], failing, () => []));
    for (const read of waiting) await expect(read).rejects.toThrow("no connection");
    expect((await loads.run([one], load, () => [filled(one)])).value.made).toBe(1);
  });
});
