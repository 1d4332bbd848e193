import type { Change } from "../core/change";
import { stripeOf } from "../core/stripe";
import { anyRowTag, barrierTag, epochTag, isFine, type Tag } from "../core/tag";
import type { EntityModel } from "../metadata/entity-model";
import type { ChangeSet, TableChanges, WrittenRow } from "./change-set";
import { changeOf } from "./change-of";
import type { LockPlan } from "./commit-protocol";

/** Rows of one entity to put into the cache after COMMIT. */
export interface WriteThroughRows {
  readonly model: EntityModel;
  readonly rows: readonly WrittenRow[];
}

/** A lock plan, and what may be written through under it. */
export interface WritePlan extends LockPlan {
  readonly writeThrough: readonly WriteThroughRows[];
  /** Epochs of tables whose rows a search has found, which is not enough if the lock is lost before its end. */
  readonly searched: readonly Tag[];
  /** What those who listen are told of. */
  readonly told: readonly Change[];
}

/** Reads the declared keys of rows inside of the transaction that wrote them; see row-reader.ts. */
export type KeyTagReader = (changes: TableChanges, rows: readonly WrittenRow[]) => Promise<readonly Tag[] | undefined>;

/** More rows than this per transaction are invalidated only. */
const MOST_WRITTEN_THROUGH = 200;

/**
 * Which tags a COMMIT must lock. The rule of exactness: a tag is computed only from values that the transaction wrote or
 * read of its own rows; what is not known so is replaced by the epoch.
 *
 * @param stripes into how many parts the store cuts each table
 * @param readKeyTags undefined for a statement outside of a transaction, whose rows cannot be read before it runs
 * @param searcher the holder whose barriers are locked still: what others have found does not count
 */
export async function planWrite(
  changes: ChangeSet,
  stripes: number,
  readKeyTags?: KeyTagReader,
  searcher?: string,
): Promise<WritePlan> {
  const searched: Tag[] = [];
  const tags = new Set<Tag>();
  const readTags = new Set<Tag>();
  const writeThrough: WriteThroughRows[] = [];
  const told: Change[] = [];
  let room = MOST_WRITTEN_THROUGH;
  for (const table of changes.tables.values()) {
    const epoch = epochTag(table.table.group);
    const isKnown = table.searchedBy === undefined || table.searchedBy === searcher;
    const own = isKnown ? await tagsOf(table, readKeyTags) : new Set([epoch]);
    for (const tag of own) tags.add(tag);
    if (own.size > 0) told.push(changeOf(table, [...own]));
    if (own.has(epoch)) continue;
    if (table.searchedBy !== undefined) {
      searched.push(epoch);
      continue;
    }
    if (table.rows.size > room) continue;
    const models = table.table.models.filter(({ settings }) => settings.strategy === "write-through");
    if (models.length === 0 || table.rows.size === 0) continue;
    room -= table.rows.size;
    // An entry that is written through lies in the stripe of one of these.
    for (const stripe of new Set([...own].filter(isFine).map((tag) => stripeOf(tag, stripes)))) {
      readTags.add(epochTag(table.table.group + stripe));
      readTags.add(barrierTag(table.table.group + stripe));
    }
    for (const tag of table.suspected) if (!own.has(tag)) readTags.add(tag);
    writeThrough.push(...models.map((model) => ({ model, rows: [...table.rows.values()] })));
  }
  const cause = [...changes.causes].join("; ");
  return { tags: [...tags], readTags: [...readTags], cause, writeThrough, searched, told };
}

async function tagsOf(changes: TableChanges, readKeyTags: KeyTagReader | undefined): Promise<ReadonlySet<Tag>> {
  const { table } = changes;
  const tags = changes.tags();
  const epoch = new Set([epochTag(table.group)]);
  const decided = [...changes.rows.values()].filter(({ findable }) => findable !== "as before");
  if (changes.isCoarse() || table.keys.length === 0 || decided.length === 0) return new Set(tags);
  const keyTags = await readKeyTags?.(changes, decided);
  return keyTags === undefined ? epoch : new Set([...tags, anyRowTag(table.group), ...keyTags]);
}
