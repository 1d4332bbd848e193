import { ANY, type EntrySpec, PROTOCOL, type Scenario, type WriteSpec } from "./scenario";

// Names of tags: T the epoch of the table, T:* every row write of it, T:id=1 a row by primary key, T:k a value of a declared
// key that queries by key ask for.

const FAULTS = { crashes: ANY, rollbacks: true, evictions: 1, flushes: 1 };

const BASE = {
  reads: [0],
  capture: "query",
  load: "at once",
  sharing: false,
  fills: true,
  hits: "at once",
  promise: "committed",
  faults: FAULTS,
  rules: PROTOCOL,
} as const satisfies Partial<Scenario>;

/** One row by primary key: tags T and T:id=1. */
const ROW_TAGS = [
  { name: "T", group: 0 },
  { name: "T:id=1", group: 0 },
];
const ROW_ENTRY: EntrySpec = { name: "row 1", group: 0, tags: [0, 1], rows: [0] };
const updateRow: WriteSpec = {
  name: "UPDATE row 1",
  mode: "transaction",
  rows: [{ row: 0, becomes: "in" }],
  tags: [1],
};
const writeThrough: WriteSpec = { ...updateRow, through: { entry: 0, locked: [1], captured: 0 } };
const autoCommit: WriteSpec = { ...writeThrough, mode: "statement" };
const bulk: WriteSpec = { ...updateRow, name: "bulk UPDATE", tags: [0] };

export function invalidation(readers: number): Scenario {
  return {
    ...BASE,
    name: "row, invalidated",
    tags: ROW_TAGS,
    rows: ["in"],
    entries: [ROW_ENTRY],
    writers: [[updateRow, bulk], [updateRow]],
    readers,
  };
}

export function throughRow(readers: number): Scenario {
  return {
    ...invalidation(readers),
    name: "row, written through",
    writers: [[writeThrough], [writeThrough, bulk]],
  };
}

export function statements(readers: number): Scenario {
  return {
    ...invalidation(readers),
    name: "row, written through by statements outside of transactions",
    writers: [[autoCommit], [autoCommit, bulk]],
  };
}

/** A query by key: T, T:k, T:*, and the tags of its two rows. Row 1 matches in the beginning, row 2 does not. */
const KEY_TAGS = [...ROW_TAGS, { name: "T:id=2", group: 0 }, { name: "T:k", group: 0 }, { name: "T:*", group: 0 }];
const KEY_ENTRY: EntrySpec = {
  name: "rows with k",
  group: 0,
  tags: [0, 3],
  rows: [0, 1],
  byKey: { rowTags: [1, 2], anyRow: 4 },
};
const update1: WriteSpec = { ...updateRow, tags: [1, 3, 4] };
/** Its writer knows only the new value of the key; who returns the row depends on its primary key. */
const leave1: WriteSpec = { ...updateRow, name: "UPDATE row 1, leaves k", rows: [{ row: 0, becomes: "out" }], tags: [1, 4] };
const enter2: WriteSpec = { ...updateRow, name: "UPDATE row 2, enters k", rows: [{ row: 1, becomes: "in" }], tags: [2, 3, 4] };
const change2: WriteSpec = { ...updateRow, name: "UPDATE row 2, out of k", rows: [{ row: 1, becomes: "out" }], tags: [2, 4] };
const bulkBoth: WriteSpec = {
  ...bulk,
  rows: [
    { row: 0, becomes: "out" },
    { row: 1, becomes: "in" },
  ],
};

export function byKey(readers: number, capture: Scenario["capture"], sharing: boolean): Scenario {
  return {
    ...BASE,
    name: `rows by key, ${capture === "hints" ? "row tags guessed" : "row tags after the load"}${sharing ? ", loads shared" : ""}`,
    tags: KEY_TAGS,
    rows: ["in", "out"],
    entries: [KEY_ENTRY],
    writers: [
      [update1, leave1],
      [enter2, bulkBoth],
    ],
    readers,
    capture,
    sharing,
    fills: !sharing,
  };
}
void change2;
