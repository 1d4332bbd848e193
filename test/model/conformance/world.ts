import fc from "fast-check";
import { PROTOCOL, type Scenario } from "../scenario";

/** Tags of two groups under the names that the stores know, and entries that depend on some of them. */
export const TAGS = ["g|", "g|id=1", "g|id=2", "g|*", "h|"];
export const GROUPS = ["g", "h"];
export const ENTRIES = [
  { key: "row", tags: [0, 1], rowTags: [] },
  { key: "rows", tags: [0], rowTags: [1, 2] },
  { key: "join", tags: [0, 4], rowTags: [] },
];
/** The tag that UNLOCK watches if LOCK has captured it. */
export const WATCHED = 3;
export const WRITERS = 3;
/** What a writer may lock. */
export const LOCKS = [[1], [1, 3], [1, 2, 3], [0], [0, 4], [1, 3, 4], [0, 1, 2]];

/** All tags of an entry, in the order of its tokens. */
export function tagsOf(entry: number): number[] {
  const { tags, rowTags } = ENTRIES[entry]!;
  return [...tags, ...rowTags];
}

export function groupOf(tag: number): number {
  return TAGS[tag]!.startsWith("g") ? 0 : 1;
}

/** Only the part of the model that lies in Redis is used, so nobody reads or writes by himself. */
export const WORLD: Scenario = {
  name: "conformance",
  tags: TAGS.map((name, tag) => ({ name, group: groupOf(tag) })),
  rows: ["in"],
  entries: ENTRIES.map(({ key }, entry) => ({ name: key, group: 0, tags: tagsOf(entry), rows: [0] })),
  writers: Array.from({ length: WRITERS }, () => []),
  readers: 0,
  reads: [],
  capture: "query",
  load: "at once",
  sharing: false,
  hits: "at once",
  promise: "committed",
  faults: { crashes: 0, rollbacks: false, evictions: 0, flushes: 0 },
  rules: PROTOCOL,
};

/** One call of a store, or something that happens to its data. */
export type Call =
  | { readonly do: "prepare"; readonly tags: readonly number[] }
  /** A reader's PREPARE, after which it loads. */
  | { readonly do: "capture"; readonly entry: number }
  /** The fill of a reader that captured before; which one is counted from the last. */
  | { readonly do: "fill"; readonly captured: number }
  /** Renews the lock if the writer has one. */
  | { readonly do: "lock"; readonly writer: number; readonly lock: number }
  /** Of a writer that holds something, if there is one. */
  | { readonly do: "unlock"; readonly writer: number; readonly through: readonly number[] }
  /** Of what this writer holds, or of a lock that it does not hold. */
  | { readonly do: "unlock twice"; readonly writer: number; readonly lock: number }
  | { readonly do: "invalidate"; readonly tags: readonly number[] }
  | { readonly do: "expire"; readonly writer: number; readonly group: number }
  | { readonly do: "expire all" }
  | { readonly do: "end quarantine"; readonly group: number }
  | { readonly do: "evict tag"; readonly tag: number }
  | { readonly do: "evict entry"; readonly entry: number }
  | { readonly do: "evict guard"; readonly group: number }
  | { readonly do: "flush" };

const always = <Name extends string>(name: Name) => fc.constant(name);
const tags = fc.subarray(TAGS.map((_, tag) => tag));
const entry = fc.nat(ENTRIES.length - 1);
const writer = fc.nat(WRITERS - 1);
const lock = fc.nat(LOCKS.length - 1);
const group = fc.nat(GROUPS.length - 1);

/** What a store is asked to do. */
const COMMANDS: fc.WeightedArbitrary<Call>[] = [
  { weight: 1, arbitrary: fc.record({ do: always("prepare"), tags }) },
  { weight: 4, arbitrary: fc.record({ do: always("capture"), entry }) },
  { weight: 4, arbitrary: fc.record({ do: always("fill"), captured: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ do: always("lock"), writer, lock }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: always("unlock"), writer, through: fc.subarray([0, 1, 2], { minLength: 1 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: always("unlock twice"), writer, lock }) },
  { weight: 1, arbitrary: fc.record({ do: always("invalidate"), tags }) },
];

/** What happens to Redis. */
const EVENTS: fc.WeightedArbitrary<Call>[] = [
  { weight: 2, arbitrary: fc.record({ do: always("expire"), writer, group }) },
  { weight: 4, arbitrary: fc.record({ do: always("end quarantine"), group }) },
  { weight: 1, arbitrary: fc.record({ do: always("evict tag"), tag: fc.nat(TAGS.length - 1) }) },
  { weight: 1, arbitrary: fc.record({ do: always("evict entry"), entry }) },
  { weight: 1, arbitrary: fc.record({ do: always("evict guard"), group }) },
  { weight: 1, arbitrary: fc.record({ do: always("flush") }) },
];

const sequence = (calls: fc.WeightedArbitrary<Call>[]) =>
  fc.array(fc.oneof(...calls), { minLength: 5, maxLength: 50, size: "max" });

/** Everything, for Redis. */
export const withLosses = sequence([...COMMANDS, ...EVENTS]);
/** For a store that loses nothing; its clock lets all deadlines pass. */
export const withoutLosses = sequence([...COMMANDS, { weight: 1, arbitrary: fc.record({ do: always("expire all") }) }]);
