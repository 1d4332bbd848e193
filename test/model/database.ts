import type { EntrySpec, Scenario, WriteSpec } from "./scenario";
import { type Layout, OUT, ROLLED_BACK, type State } from "./state";

/**
 * The rows, as commits left them. A row is the number of the commit that changed it last, so a value tells how old it is;
 * uncommitted writes are what a writer is about to do and no part of what others see (READ COMMITTED).
 */
export class Database {
  constructor(
    private readonly scenario: Scenario,
    private readonly at: Layout,
  ) {}

  begin(state: State): void {
    this.scenario.rows.forEach((membership, row) => (state[this.at.row(0, row)] = membership === "in" ? 0 : OUT));
  }

  commit(state: State, writer: number, write: WriteSpec): void {
    const { at } = this;
    const before = state[at.commits]!;
    state.copy(state, at.row(before + 1, 0), at.row(before, 0), at.row(before, 0) + at.rowCount);
    for (const { row, becomes } of this.written(state, writer, write)) {
      state[at.row(before + 1, row)] = before + 1 + (becomes === "in" ? 0 : OUT);
    }
    state[at.commits] = before + 1;
    state[at.writer(writer) + at.commit] = before + 1;
  }

  /** The rows that a write changes: those that are given, those that it has written already, or those that are "in" now. */
  written(state: State, writer: number, { mode, rows, search }: WriteSpec): WriteSpec["rows"] {
    if (search === undefined) return rows;
    const bits = mode === "statement" ? this.matching(state) : state[this.at.writer(writer) + this.at.wrote]!;
    return search.rowTags.flatMap((_, row) => (bits & (1 << row) ? [{ row, becomes: search.becomes }] : []));
  }

  /** The rows that are "in", as a set of bits. */
  matching(state: State): number {
    let bits = 0;
    for (let row = 0; row < this.at.rowCount; row++) {
      if (state[this.at.row(state[this.at.commits]!, row)]! < OUT) bits |= 1 << row;
    }
    return bits;
  }

  /** Copies what an entry's query finds now in one row, or in all of its rows, into cells that begin at `target`. */
  read(state: State, entry: EntrySpec, target: number, only?: number): void {
    for (const row of entry.rows) {
      if (only === undefined || row === only)
        state[target + row] = this.seen(state, entry, state[this.at.commits]!, row);
    }
  }

  /** The same as it would be had this writer committed, though it rolled back. */
  readRolledBack(state: State, entry: EntrySpec, target: number, write: WriteSpec): void {
    this.read(state, entry, target);
    for (const { row } of write.rows) if (entry.rows.includes(row)) state[target + row] = ROLLED_BACK;
  }

  /** Whether the values are what the query found at one moment since a commit, the rows all at the same. */
  wasThere(state: State, entry: EntrySpec, values: number, since: number): boolean {
    for (let commit = since; commit <= state[this.at.commits]!; commit++) {
      if (entry.rows.every((row) => state[values + row] === this.seen(state, entry, commit, row))) return true;
    }
    return false;
  }

  private seen(state: State, entry: EntrySpec, commit: number, row: number): number {
    const cell = state[this.at.row(commit, row)]!;
    return entry.byKey !== undefined && cell >= OUT ? OUT : cell;
  }
}

/** The tags that an entry with these rows depends on, beyond those that its query names. */
export function rowTagsOf(state: State, entry: EntrySpec, values: number): number[] {
  if (entry.byKey === undefined) return [];
  const { rowTags } = entry.byKey;
  return entry.rows.flatMap((row) => (state[values + row] === OUT ? [] : [rowTags[row]!]));
}
