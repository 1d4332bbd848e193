import * as fc from "fast-check";
import type { DataSource, EntityManager, Repository } from "typeorm";
import { Item, Owner } from "./entities/item";

/** A write; it may fail, as on a unique key that is taken, and must then have done nothing. */
export type ItemWrite = { readonly title: string; readonly run: (manager: EntityManager) => Promise<unknown> };

/** A write, or a transaction of several with savepoints inside, that commits or rolls back. */
export type ItemStep = ItemWrite | { readonly steps: readonly ItemStep[]; readonly commit: boolean };

const id = fc.integer({ min: 1, max: 6 });
const code = fc.constantFrom("A", "B", "C", "D", "E", "F", "G");
const shelf = fc.integer({ min: 1, max: 3 });
const slot = fc.constantFrom("a", "b");
const rank = fc.integer({ min: 0, max: 3 });
const active = fc.boolean();
const ownerId = fc.constantFrom(null, 1, 2);

const row = fc.record({ code, shelf, slot, rank, active, ownerId });
const some = fc
  .record({ code, shelf, slot, rank, active, ownerId }, { requiredKeys: [] })
  .filter((set) => Object.keys(set).length > 0);
/** What may be set on several rows without breaking the unique key. */
const shared = fc
  .record({ shelf, slot, rank, active, ownerId }, { requiredKeys: [] })
  .filter((set) => Object.keys(set).length > 0);
const criteria = fc.oneof(
  fc.record({ id }),
  fc.record({ code }),
  fc.record({ shelf }),
  fc.record({ shelf, slot }),
  fc.record({ rank }),
);

const items = (manager: EntityManager): Repository<Item> => manager.getRepository(Item);
const text = (value: unknown) => JSON.stringify(value);

const write = fc.oneof(
  row.map((values) => writeOf(`save ${text(values)}`, (manager) => items(manager).save(items(manager).create(values)))),
  fc
    .tuple(row, row)
    .map((rows) => writeOf(`save ${text(rows)}`, (manager) => items(manager).save(items(manager).create([...rows])))),
  // The most usual write, and the one that is written through.
  {
    weight: 4,
    arbitrary: fc.tuple(id, some).map(([key, values]) =>
      writeOf(`save #${key} ${text(values)}`, async (manager) => {
        // Of a row that is there: an unknown id would be a new row under a number of the database's own choice.
        const found = await items(manager).findOne({ where: { id: key }, withDeleted: true });
        return found && items(manager).save({ id: key, ...values });
      }),
    ),
  },
  row.map((values) => writeOf(`insert ${text(values)}`, (manager) => items(manager).insert(values))),
  fc.tuple(row, row).map((rows) => writeOf(`insert ${text(rows)}`, (manager) => items(manager).insert([...rows]))),
  row.map((values) => writeOf(`upsert ${text(values)}`, (manager) => items(manager).upsert(values, ["code"]))),
  fc
    .tuple(id, some)
    .map(([key, values]) => writeOf(`update #${key} ${text(values)}`, (manager) => items(manager).update(key, values))),
  fc
    .tuple(criteria, shared)
    .map(([where, values]) =>
      writeOf(`update ${text(where)} ${text(values)}`, (manager) => items(manager).update(where, values)),
    ),
  criteria.map((where) => writeOf(`increment ${text(where)}`, (manager) => items(manager).increment(where, "rank", 1))),
  id.map((key) => writeOf(`delete #${key}`, (manager) => items(manager).delete(key))),
  criteria.map((where) => writeOf(`delete ${text(where)}`, (manager) => items(manager).delete(where))),
  id.map((key) => writeOf(`softDelete #${key}`, (manager) => items(manager).softDelete(key))),
  criteria.map((where) => writeOf(`restore ${text(where)}`, (manager) => items(manager).restore(where))),
  ...(["remove", "softRemove", "recover"] as const).map((method) =>
    id.map((key) =>
      writeOf(`${method} #${key}`, async (manager) => {
        const repository = items(manager) as unknown as Record<typeof method, (item: Item) => Promise<Item>>;
        const found = await items(manager).findOne({ where: { id: key }, withDeleted: true });
        return found && repository[method](found);
      }),
    ),
  ),
  fc
    .tuple(shelf, shelf)
    .map(([from, to]) =>
      writeOf(`query builder ${from} -> ${to}`, (manager) =>
        items(manager)
          .createQueryBuilder()
          .update()
          .set({ shelf: to })
          .where("shelf = :from", { from })
          .callListeners(false)
          .execute(),
      ),
    ),
  fc
    .tuple(rank, shelf)
    .map(([from, to]) =>
      writeOf(`sql: rank ${from} to shelf ${to}`, (manager) =>
        manager.query(`UPDATE item SET shelf = ${to} WHERE rank >= ${from}`),
      ),
    ),
  fc
    .tuple(id, shelf)
    .map(([key, to]) =>
      writeOf(`sql: #${key} to shelf ${to}`, (manager) =>
        manager.query(`UPDATE item SET shelf = ${to}, rank = rank + 1 WHERE id = ${key}`),
      ),
    ),
  slot.map((where) =>
    writeOf(`sql: delete slot ${where}`, (manager) =>
      manager.query(`DELETE FROM item WHERE slot = '${where}' AND rank = 0`),
    ),
  ),
  fc
    .tuple(code, shelf)
    .map(([name, to]) =>
      writeOf(`sql: insert ${name}`, (manager) =>
        manager.query(`INSERT INTO item (code, shelf) VALUES ('${name}', ${to})`),
      ),
    ),
  fc.constantFrom(1, 2).map((key) => writeOf(`softDelete owner ${key}`, (manager) => manager.softDelete(Owner, key))),
  fc.constantFrom(1, 2).map((key) => writeOf(`restore owner ${key}`, (manager) => manager.restore(Owner, key))),
  // ON DELETE SET NULL: the database changes items by itself.
  fc.constantFrom(1, 2).map((key) => writeOf(`delete owner ${key}`, (manager) => manager.delete(Owner, key))),
  fc
    .constantFrom(1, 2)
    .map((key) =>
      writeOf(`new owner ${key}`, (manager) => manager.query(`INSERT INTO owner (id, name) VALUES (${key}, 'again')`)),
    ),
  fc.constant(writeOf("clear", (manager) => items(manager).delete({ shelf: 1 }))),
);

/** Steps whose every write may or may not succeed. */
export const itemSteps: fc.Arbitrary<ItemStep[]> = fc
  .letrec<{ step: ItemStep; group: ItemStep }>((tie) => ({
    step: fc.oneof({ maxDepth: 2 }, { weight: 5, arbitrary: write }, { weight: 1, arbitrary: tie("group") }),
    group: fc.record({ steps: fc.array(tie("step"), { minLength: 1, maxLength: 4 }), commit: fc.boolean() }),
  }))
  .step.chain((first) =>
    fc.array(fc.oneof({ weight: 6, arbitrary: write }, { weight: 1, arbitrary: fc.constant(first) }), {
      minLength: 3,
      maxLength: 12,
    }),
  );

/** Runs a step; a failure inside of a transaction undoes all of it, as PostgreSQL would have it anyway. */
export async function runStep(dataSource: DataSource, step: ItemStep): Promise<void> {
  const run = async (manager: EntityManager, one: ItemStep): Promise<void> => {
    if ("run" in one) await one.run(manager);
    else
      await manager.transaction(async (inner) => {
        for (const each of one.steps) {
          // A group inside may roll back to its savepoint and leave the rest alone; a failed write fails the group.
          if ("steps" in each) await run(inner, each).catch(unless(RolledBack));
          else await run(inner, each);
        }
        if (!one.commit) throw new RolledBack();
      });
  };
  await run(dataSource.manager, step).catch(() => undefined);
}

class RolledBack extends Error {}

function unless(expected: new () => Error) {
  return (error: unknown) => {
    if (!(error instanceof expected)) throw error;
  };
}

function writeOf(title: string, run: ItemWrite["run"]): ItemWrite {
  return { title, run };
}

/** Steps as text, for the message of a failure. */
export function titleOf(step: ItemStep): string {
  return "run" in step
    ? step.title
    : `${step.commit ? "transaction" : "rolled back"} { ${step.steps.map(titleOf).join("; ")} }`;
}
