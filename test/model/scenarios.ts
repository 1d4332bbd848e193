import { ANY, type EntrySpec, type Faults, PROTOCOL, type Scenario, type WriteSpec } from "./scenario";

// Names of tags: T the epoch of the table, T:* every row write of it, T:id=1 a row by primary key, T:k a value of a declared
// key that queries by key ask for.

/** Whatever can happen, as often as it likes. Without counting there are fewer states than with a large number. */
export const ALL: Faults = { crashes: ANY, rollbacks: true, evictions: ANY, flushes: ANY };
/** No losses at all. */
export const CALM: Faults = { crashes: 0, rollbacks: false, evictions: 0, flushes: 0 };
/** For worlds that are large already. */
export const FEW: Faults = { crashes: ANY, rollbacks: false, evictions: 1, flushes: 0 };

const BASE = {
  reads: [0],
  capture: "query",
  load: "at once",
  sharing: false,
  hits: "at once",
  promise: "committed",
  faults: ALL,
  rules: PROTOCOL,
} as const satisfies Partial<Scenario>;

/** One row by primary key. */
const ROW_TAGS = ["T", "T:id=1"].map((name) => ({ name, group: 0 }));
const ROW_ENTRY: EntrySpec = { name: "row 1", group: 0, tags: [0, 1], rows: [0] };
const update: WriteSpec = { name: "UPDATE row 1", mode: "transaction", rows: [{ row: 0, becomes: "in" }], tags: [1] };
const updateThrough: WriteSpec = { ...update, through: { entry: 0, locked: [1], captured: 0 } };
const statement: WriteSpec = { ...updateThrough, mode: "statement" };
/** Its rows are unknown, so it locks the epoch. */
const bulk: WriteSpec = { ...update, name: "bulk UPDATE", tags: [0] };

export const invalidated = (readers: number, faults = ALL): Scenario => ({
  ...BASE,
  name: "a row, invalidated",
  tags: ROW_TAGS,
  rows: ["in"],
  entries: [ROW_ENTRY],
  writers: [[update, bulk], [update]],
  readers,
  faults,
});

export const writtenThrough = (readers: number, faults = ALL): Scenario => ({
  ...invalidated(readers, faults),
  name: "a row, written through by transactions",
  writers: [[updateThrough], [updateThrough, bulk]],
});

export const statements = (readers: number, faults = ALL): Scenario => ({
  ...invalidated(readers, faults),
  name: "a row, written through by statements outside of transactions",
  writers: [[statement], [statement, bulk]],
});

/** A query by key over two rows, of which the first matches in the beginning. */
const KEY_TAGS = ["T", "T:id=1", "T:id=2", "T:k", "T:*"].map((name) => ({ name, group: 0 }));
const KEY_ENTRY: EntrySpec = {
  name: "rows with k",
  group: 0,
  tags: [0, 3],
  rows: [0, 1],
  byKey: { rowTags: [1, 2], anyRow: 4 },
};
const changes1: WriteSpec = { ...update, name: "UPDATE row 1", tags: [1, 3, 4] };
/** Its writer knows the new value of the key only; what returned the row depends on its primary key. */
const leaves1: WriteSpec = {
  ...update,
  name: "UPDATE row 1, leaves k",
  rows: [{ row: 0, becomes: "out" }],
  tags: [1, 4],
};
const enters2: WriteSpec = {
  ...update,
  name: "UPDATE row 2, enters k",
  rows: [{ row: 1, becomes: "in" }],
  tags: [2, 3, 4],
};
const bulkBoth: WriteSpec = {
  ...bulk,
  rows: [
    { row: 0, becomes: "out" },
    { row: 1, becomes: "in" },
  ],
};

export const byKey = (readers: number, capture: "any-row" | "hints", faults = ALL): Scenario => ({
  ...BASE,
  name: capture === "hints" ? "rows by key, their tags guessed" : "rows by key, their tags captured after the load",
  tags: KEY_TAGS,
  rows: ["in", "out"],
  entries: [KEY_ENTRY],
  writers: [
    [changes1, leaves1],
    [enters2, bulkBoth],
  ],
  readers,
  capture,
  faults,
});

/** A row by a unique key, which is written through under the key and the row. */
export const uniqueKey = (readers: number, faults = ALL): Scenario => {
  const through = { entry: 0, locked: [1, 3], captured: 0 };
  return {
    ...byKey(readers, "any-row", faults),
    name: "a row by unique key, written through",
    writers: [[{ ...changes1, through }], [{ ...changes1, through }, leaves1]],
  };
};

/** The table of the queries by key once more, with its barrier. */
const SEARCH_TAGS = [...KEY_TAGS, { name: "T:~", group: 0 }];
const SEARCH_ENTRY: EntrySpec = { ...KEY_ENTRY, barrier: 5 };
const found = { rowTags: [1, 2], barrier: 5 };
/** Its WHERE asks for k, so it writes the rows with k, whichever they are by then. */
const updatesByKey: WriteSpec = {
  name: "UPDATE of the rows with k",
  mode: "statement",
  rows: [],
  tags: [4],
  search: { ...found, becomes: "in" },
};
const deletesByKey: WriteSpec = {
  ...updatesByKey,
  name: "DELETE of the rows with k",
  search: { ...found, becomes: "out" },
};

/** Writes that search for their rows, while others bring rows in and take them out. */
export const searched = (
  readers: number,
  capture: "any-row" | "hints",
  mode: WriteSpec["mode"],
  faults = ALL,
): Scenario => ({
  ...byKey(readers, capture, faults),
  name: `rows by key, written by a search in a ${mode} (${capture})`,
  tags: SEARCH_TAGS,
  // Were some row found anyway, its tag would cover for those that are not: an entry has them all.
  rows: ["out", "out"],
  entries: [SEARCH_ENTRY],
  writers: [
    [
      { ...updatesByKey, mode },
      { ...deletesByKey, mode },
    ],
    [enters2],
  ],
});

/** Two writes that search for the same rows, and one that brings rows in. */
export const searchedTwice = (readers: number, faults = ALL): Scenario => ({
  ...searched(readers, "hints", "statement", faults),
  name: "rows by key, written by two searches (hints)",
  rows: ["in", "out"],
  writers: [
    [updatesByKey],
    [
      { ...updatesByKey, mode: "transaction" },
      { ...deletesByKey, mode: "transaction" },
    ],
    [enters2, leaves1],
  ],
});

/** A row by its primary key, which one writes through while another searches for it. */
export const searchedThrough = (readers: number, mode: WriteSpec["mode"], faults = ALL): Scenario => ({
  ...searched(readers, "hints", mode, faults),
  name: `a row written through beside a search in a ${mode}`,
  capture: "query",
  entries: [{ name: "row 2", group: 0, tags: [0, 2], rows: [1], barrier: 5 }],
  writers: [[{ ...updatesByKey, mode }], [{ ...enters2, through: { entry: 0, locked: [2], captured: 0, watched: 5 } }]],
});

/** The same loads, shared by whoever may. Nothing is filled: that is tried above. */
export const shared = (readers: number, capture: "any-row" | "hints", faults = ALL): Scenario => ({
  ...byKey(readers, capture, faults),
  name: `${capture === "hints" ? "rows by key, their tags guessed" : "rows by key"}, loads shared`,
  writers: [[leaves1], [enters2]],
  sharing: true,
});

/** The entry and each tag looked at by themselves, in any order. */
export const anyOrder = (readers: number, faults = ALL): Scenario => ({
  ...writtenThrough(readers, faults),
  name: "a row, looked at in any order",
  hits: "any order",
});

const writesBoth: WriteSpec = {
  name: "UPDATE of both rows",
  mode: "transaction",
  rows: [
    { row: 0, becomes: "in" },
    { row: 1, becomes: "in" },
  ],
  tags: [0, 1],
};

/** A join of two tables in two slots, each with a guard of its own. */
export const join = (readers: number, hits: Scenario["hits"], load: Scenario["load"], faults = ALL): Scenario => ({
  ...BASE,
  name: `a join of two groups (loads: ${load}; hits: ${hits})`,
  tags: [
    { name: "T:id=1", group: 0 },
    { name: "U:id=1", group: 1 },
  ],
  rows: ["in", "in"],
  entries: [{ name: "T join U", group: 0, tags: [0, 1], rows: [0, 1] }],
  writers: [[writesBoth], [{ ...writesBoth, name: "UPDATE of U", rows: [{ row: 1, becomes: "in" }], tags: [1] }]],
  readers,
  hits,
  load,
  faults,
});

/** A COMMIT may outlive its lock, and even be sent after; it is seen at the latest when its writer goes on after UNLOCK. */
export const slow = (scenario: Scenario): Scenario => ({
  ...scenario,
  name: `${scenario.name}, COMMIT slow`,
  promise: "returned",
});

/** Writers that may meet on a tag, one more than the others have. */
export const threeWriters = (readers: number, faults = ALL): Scenario => ({
  ...statements(readers, faults),
  name: "a row, written through by three statements and transactions",
  writers: [[statement], [updateThrough, statement], [statement, bulk]],
});

/**
 * A row by a unique key in a cluster: the key and the entry lie in one part, the row in another, each part with a stripe of the epoch. It is
 * written through under tags of both.
 */
export const twoParts = (readers: number, meets: "its like" | "the row" | "all rows", faults = ALL): Scenario => {
  const tags = [2, 3];
  const rows = [{ row: 0, becomes: "in" }] as const;
  const changes: WriteSpec = { name: "UPDATE of the row", mode: "transaction", rows, tags };
  const through = { entry: 0, locked: tags, captured: 0 };
  const others = {
    "its like": [{ ...changes, through }],
    "the row": [{ ...changes, name: "UPDATE of the row by its id", tags: [3] }],
    "all rows": [{ ...changes, name: "bulk UPDATE", tags: [0, 1] }],
  };
  return {
    ...BASE,
    name: "a row by unique key in two parts of a cluster, written through",
    tags: [
      { name: "T, stripe of k", group: 0 },
      { name: "T, stripe of id=1", group: 1 },
      { name: "T:k", group: 0 },
      { name: "T:id=1", group: 1 },
    ],
    rows: ["in"],
    entries: [{ name: "the row with k", group: 0, tags: [0, 2, 3], rows: [0] }],
    writers: [[{ ...changes, through }], others[meets]],
    readers,
    faults,
  };
};
