import type { DataSource, Repository } from "typeorm";
import type { CoherentCache } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { columnKinds, kindSchema, type ColumnKind, type Sample } from "../support/entities/column-kinds";
import { expectSame } from "../support/same-as";

// An entity from the cache cannot be told from one that TypeORM has just loaded, whatever its columns hold.
describeEachDatabase("hydration of every kind of column", (database) => {
  const kinds = columnKinds(database).map((kind) => ({ ...kind, schema: kindSchema(kind) }));
  let dataSource: DataSource;
  let cache: CoherentCache;
  let statements: ReturnType<typeof countStatements>;
  beforeAll(async () => {
    dataSource = await database.open(kinds.map(({ schema }) => schema));
    cache = await attachMemory(dataSource, { entities: "all", defaults: { strategy: "write-through" } });
    // Nothing is written through before the first read of a table.
    for (const { schema } of kinds) await cache.repository(schema).findOneBy({ id: 0 });
    statements = countStatements(dataSource);
  });

  const cases = kinds.flatMap((kind) => [
    ...kind.values.map((value, index) => ({ ...kind, value, title: `${kind.name} #${index}` })),
    { ...kind, value: null, title: `${kind.name} null` },
  ]);

  it.each(cases)("$title", async ({ schema, value, ...kind }) => {
    const plain = dataSource.getRepository(schema);
    const cached = cache.repository(schema);
    const { id } = await cached.save(cached.create({ value }));
    const unencodable = kind.unencodable === true && value !== null;
    const read = async (served: boolean): Promise<Sample> => {
      statements.reset();
      const found = await cached.findOneByOrFail({ id });
      expect(statements.selects).toHaveLength(served && !unencodable ? 0 : 1);
      expectSame(found, await plain.findOneBy({ id }));
      return found;
    };

    // A column that is not selected leaves nothing out of the entry; one that cannot be stored keeps the row out.
    await read(true); // as written through
    await cache.invalidate(schema);
    await read(false); // as loaded
    const first = await read(true); // as filled
    const second = await read(true);
    expect(second).not.toBe(first);
    await expectSameWrites(plain, cached, id, statements);
    if (unencodable) expect(cache.stats().unfilled.unencodable).toBeGreaterThan(0);
  });

  it("changing what was returned changes nothing that is cached", async () => {
    for (const kind of kinds.filter(isMutable)) {
      const cached = cache.repository(kind.schema);
      const [{ id } = { id: 0 }] = await cached.find();
      const original = await dataSource.getRepository(kind.schema).findOneByOrFail({ id });
      const first = await cached.findOneByOrFail({ id });
      spoil(first.value);
      expectSame(await cached.findOneByOrFail({ id }), original);
    }
  });
});

/** Saving a row that came from the cache, unchanged, does what saving one of TypeORM's own does: nothing, as a rule. */
async function expectSameWrites(
  plain: Repository<Sample>,
  cached: Repository<Sample>,
  id: number,
  statements: ReturnType<typeof countStatements>,
): Promise<void> {
  const outcomes: unknown[] = [];
  for (const repository of [plain, cached]) {
    const entity = await repository.findOneByOrFail({ id });
    statements.reset();
    // TypeORM takes some values for changed that it has just loaded, and some of them it cannot write.
    const failure: unknown = await repository.save(entity).then(
      () => undefined,
      (error: unknown) => error,
    );
    outcomes.push({ writes: statements.writes.length, failure: String(failure) });
  }
  expect(outcomes[1]).toEqual(outcomes[0]);
}

function isMutable({ values, unencodable }: ColumnKind): boolean {
  return unencodable !== true && typeof values[0] === "object";
}

function spoil(value: unknown): void {
  if (value instanceof Date) value.setFullYear(1980);
  else if (Buffer.isBuffer(value)) value.fill(1);
  else if (Array.isArray(value)) value.push("spoilt");
  else if (typeof value === "object" && value !== null) Object.assign(value, { spoilt: true });
}
