import type { EntityManager, Repository } from "typeorm";
import { CATEGORIES, HOT_ROWS, POISON, type Item, type ItemClass } from "./entities";
import type { Counts } from "./messages";
import { below, pick, pickWeighted } from "./random";
import type { Subject } from "./subjects";

/** What one write needs; each write tells the subject what it has committed. */
export interface WriteContext {
  readonly subject: Subject;
  readonly item: ItemClass;
  readonly repository: Repository<Item>;
  readonly counts: Pick<Counts, "commits" | "rollbacks">;
  /** An SKU that was never used and never will be again. */
  readonly freshSku: () => string;
}

type Write = (context: WriteContext) => Promise<readonly number[]>;

/** One random write; it may reject as writes do. */
export async function writeSomething(context: WriteContext): Promise<void> {
  const ids = await pickWeighted<Write>(WRITES)(context);
  if (ids.length === 0) return;
  context.counts.commits += 1;
  await context.subject.afterCommit(context.item, ids);
}

/** This many rows that come and go are kept. */
const KEPT = 15;
const ALL_HOT = Array.from({ length: HOT_ROWS }, (_, index) => index + 1);

const hot = () => pick(ALL_HOT);
const changed = () => ({ mark: `m${below(1e9)}`, ...(Math.random() < 0.3 ? { category: pick(CATEGORIES) } : {}) });
const poisoned = () => ({ ...changed(), mark: POISON });

/** Rolled back in the end, whatever it is. */
class Undo extends Error {}

const WRITES: readonly (readonly [number, Write])[] = [
  [4, saveOne],
  [3, updateById],
  [2, updateByQuery],
  [1, updateByIncrement],
  [1, updateByText],
  [3, savepointRolledBack],
  [2, rolledBack],
  [2, statementFailed],
  [2, comeAndGo],
  [2, hideAndShow],
];

async function saveOne({ repository }: WriteContext): Promise<number[]> {
  const id = hot();
  const row = await repository.findOneBy({ id });
  if (row === null) return [];
  // TypeORM would write back the version that was read, and what is older could carry the higher one.
  delete (row as Partial<Item>).version;
  await repository.save(Object.assign(row, changed()));
  return [id];
}

async function updateById({ repository }: WriteContext): Promise<number[]> {
  const id = hot();
  await repository.update(id, changed());
  return [id];
}

async function updateByQuery({ repository }: WriteContext): Promise<number[]> {
  const values = changed();
  const query = repository.createQueryBuilder().update().set(values);
  if (Math.random() < 0.5) await query.where("category = :category", { category: pick(CATEGORIES) }).execute();
  else await query.where({ sku: `h${hot()}` }).execute();
  // For the naive caches, which would otherwise not know.
  return (await repository.findBy({ mark: values.mark })).map(({ id }) => id);
}

async function updateByIncrement({ repository }: WriteContext): Promise<number[]> {
  const id = hot();
  await repository.increment({ id }, "amount", 1);
  return [id];
}

async function updateByText({ repository }: WriteContext): Promise<number[]> {
  const id = hot();
  const { tableName } = repository.metadata;
  await repository.query(`UPDATE ${tableName} SET amount = amount + 1, version = version + 1 WHERE id = ${id}`);
  return [id];
}

/** What an inner transaction wrote is void, what the outer one wrote before and after it is not. */
async function savepointRolledBack({ repository, item, counts }: WriteContext): Promise<number[]> {
  // In the order of ids, or two of these would wait for each other.
  const [first = 1, second = 2, third = 3] = ALL_HOT.slice(below(HOT_ROWS - 2));
  await repository.manager.transaction(async (outer) => {
    await outer.update(item, first, changed());
    await outer
      .transaction(async (inner) => {
        await inner.update(item, second, poisoned());
        await saveIn(inner, item, first, poisoned());
        throw new Undo();
      })
      .catch(ignoreUndo);
    await saveIn(outer, item, third, changed());
    await outer.transaction((inner) => inner.update(item, third, changed()));
  });
  counts.rollbacks += 1;
  return [first, third];
}

async function rolledBack({ repository, item, freshSku, counts }: WriteContext): Promise<number[]> {
  await repository.manager
    .transaction(async (manager) => {
      await manager.update(item, hot(), poisoned());
      await manager.save(item, { sku: freshSku(), ...poisoned(), category: pick(CATEGORIES) });
      await manager.createQueryBuilder().update(item).set({ mark: POISON }).where({ category: 1 }).execute();
      throw new Undo();
    })
    .catch(ignoreUndo);
  counts.rollbacks += 1;
  return [];
}

/**
 * The application swallows the error of one statement and commits. PostgreSQL answers such a COMMIT with a silent ROLLBACK,
 * the others commit what was written before.
 */
async function statementFailed({ repository, item, counts }: WriteContext): Promise<number[]> {
  const isVoid = repository.metadata.connection.options.type === "postgres";
  const id = hot();
  await repository.manager.transaction(async (manager) => {
    await manager.update(item, id, isVoid ? poisoned() : changed());
    await manager.insert(item, { sku: "h1", mark: POISON, category: 1 }).then(
      () => Promise.reject(new Error("A unique key was not respected.")),
      () => undefined,
    );
  });
  counts.rollbacks += Number(isVoid);
  return isVoid ? [] : [id];
}

/** Inserts a row, and deletes the oldest of those that are not hot. */
async function comeAndGo({ repository, freshSku }: WriteContext): Promise<number[]> {
  const { id } = await repository.save({ sku: freshSku(), mark: "new", category: pick(CATEGORIES) });
  const query = repository.createQueryBuilder("item").withDeleted().where("item.id > :last", { last: HOT_ROWS });
  const others = await query.orderBy("item.id").getMany();
  const [oldest] = others;
  if (oldest === undefined || others.length <= KEPT) return [id];
  const oldId = oldest.id;
  if (Math.random() < 0.5) await repository.delete(oldId);
  else await repository.remove(oldest);
  return [id, oldId];
}

async function hideAndShow({ repository }: WriteContext): Promise<number[]> {
  const id = hot();
  if (Math.random() < 0.5) {
    await repository.softDelete(id);
    await repository.restore(id);
  } else {
    const row = await repository.findOne({ where: { id }, withDeleted: true });
    if (row === null) return [];
    await (row.gone === null ? repository.softRemove(row) : repository.recover(row));
  }
  return [id];
}

async function saveIn(manager: EntityManager, item: ItemClass, id: number, values: Partial<Item>): Promise<void> {
  await manager.save(item, { id, ...values });
}

function ignoreUndo(error: unknown): void {
  if (!(error instanceof Undo)) throw error;
}
