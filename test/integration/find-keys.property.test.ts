import * as fc from "fast-check";
import { inspect } from "node:util";
import {
  Between,
  Equal,
  In,
  IsNull,
  LessThan,
  Like,
  MoreThan,
  Not,
  Or,
  type DataSource,
  type FindManyOptions,
} from "typeorm";
import type { CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { databases } from "../support/databases";
import { Book, fillLibrary, LIBRARY } from "../support/entities/library";

const small = fc.integer({ min: 1, max: 2 });
const text = fc.constantFrom("1", "Anchors", "1 ", "");
/** Values that look alike, and types that do not. */
const number = fc.oneof(
  small,
  small.map(String),
  small.map((n) => n + 0.5),
) as fc.Arbitrary<number>;

const ofNumber = fc.oneof(
  number,
  number.map((n) => Equal(n)),
  number.map((n) => Not(n)),
  number.map((n) => MoreThan(n)),
  number.map((n) => LessThan(n)),
  fc.tuple(number, number).map(([from, to]) => Between(from, to)),
  fc.array(number, { minLength: 1, maxLength: 2 }).map((all) => In(all)),
  fc.tuple(number, number).map(([one, other]) => Or(Equal(one), MoreThan(other))),
);
const ofText = fc.oneof(
  text,
  text.map((value) => Like(value)),
  text.map((value) => Equal(value)),
);

const condition = fc.record(
  {
    shelf: ofNumber,
    title: ofText,
    authorId: fc.oneof(ofNumber, fc.constant(IsNull())),
    size: fc.record({ pages: ofNumber }),
    author: fc.record({ name: ofText }),
  },
  { requiredKeys: [] },
);
const direction = fc.constantFrom("ASC" as const, "DESC" as const);
const options = fc.record(
  {
    where: fc.oneof(condition, fc.array(condition, { minLength: 1, maxLength: 2 })),
    order: fc.oneof(
      fc.record({ shelf: direction, title: direction }),
      fc.record({ title: direction, shelf: direction }),
      fc.record({ id: direction }),
    ),
    relations: fc.oneof(fc.constant({ author: true }), fc.constant({ topics: true, author: true }), fc.constant({})),
    select: fc.constantFrom({ id: true, title: true }, { title: true, id: true }, { id: true }),
    skip: fc.constantFrom(0, 1),
    take: fc.constantFrom(1, 2),
    withDeleted: fc.boolean(),
    loadEagerRelations: fc.boolean(),
    comment: fc.constantFrom("a", "b"),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<FindManyOptions<Book>>;

// Two ways to write one query share an entry, and two queries never do.
describe("the keys of find options", () => {
  const database = databases().find(({ name }) => name === "sqlite")!;
  let dataSource: DataSource;
  let cache: CoherentCache;
  beforeAll(async () => {
    dataSource = await database.open(LIBRARY);
    await fillLibrary(dataSource);
    cache = await attachMemory(dataSource);
  });
  afterAll(() => database.cleanup());

  /** The statements that TypeORM sends for a find, and their parameters with their types; undefined if it fails at it. */
  async function statementsOf(find: FindManyOptions<Book>): Promise<string | undefined> {
    const sent: unknown[] = [];
    const { logger } = dataSource;
    const { logQuery } = logger;
    logger.logQuery = (query, parameters) => void sent.push([query, parameters ?? []]);
    try {
      await dataSource.getRepository(Book).find(find);
      return inspect(sent, { depth: Infinity });
    } catch {
      return undefined;
    } finally {
      logger.logQuery = logQuery;
    }
  }

  async function keysOf(find: FindManyOptions<Book>): Promise<{ readonly kind: string; readonly keys: string }> {
    const explained = await cache.explain(Book, "find", find);
    if (!explained.cacheable) throw new Error(`${explained.text} ${inspect(find, { depth: 5 })}`);
    return { kind: explained.kind, keys: explained.keys.join(" ") };
  }

  it("are equal exactly if TypeORM makes the same SQL and parameters of them", async () => {
    const count = { same: 0, other: 0 };
    await fc.assert(
      fc.asyncProperty(options, options, fc.constantFrom("copy", "shuffled", "other"), async (one, other, how) => {
        const shuffled = Object.fromEntries(Object.entries(one).reverse()) as FindManyOptions<Book>;
        const second = how === "copy" ? { ...one } : how === "shuffled" ? shuffled : other;
        const [sent, sentSecond] = [await statementsOf(one), await statementsOf(second)];
        // A page in the order of a column that is not selected.
        fc.pre(sent !== undefined && sentSecond !== undefined);
        const isSame = sent === sentSecond;
        const [left, right] = [await keysOf(one), await keysOf(second)];
        count[isSame ? "same" : "other"] += 1;
        // By key a look at the columns is enough, and some queries that are written otherwise are the same: 1 and "1".
        if (isSame || (left.kind === "statement" && right.kind === "statement")) {
          expect({ one, second, isEqual: left.keys === right.keys }).toEqual({
            one,
            second,
            isEqual: isSame,
          });
        }
      }),
      { numRuns: 400 },
    );
    expect(Math.min(count.same, count.other)).toBeGreaterThan(50);
  }, 60_000);

  it("by key, are equal only if the results are", async () => {
    const byKey = fc
      .record({
        shelf: fc.oneof(
          number,
          number.map((n) => Equal(n)),
        ),
      })
      .chain((where) => fc.record({ where: fc.constant(where), order: fc.constant({ id: "ASC" as const }) }));
    const results = new Map<string, string>();
    await fc.assert(
      fc.asyncProperty(byKey, async (find) => {
        const { keys } = await keysOf(find);
        const result = inspect(await dataSource.getRepository(Book).find(find), { depth: Infinity });
        expect(results.get(keys) ?? result).toBe(result);
        results.set(keys, result);
      }),
      { numRuns: 100 },
    );
  });
});
