import { Redis } from "ioredis";
import type { DataSource, EntityMetadata, ObjectLiteral } from "typeorm";
import { RedisStore, type CoherentCache, type Strategy } from "typeorm-coherent";
import { attachMemory, quarantineOver } from "../support/cache-harness";
import { describeEachDatabase, typeormLine } from "../support/databases";
import { startRedis, type RedisServer } from "../support/redis-server";
import { FORMS, type Form } from "../support/write-matrix/forms";
import { KEYED } from "../support/write-matrix/keyed";
import { OTHERS } from "../support/write-matrix/others";
import { PRODUCTS } from "../support/write-matrix/product";
import { Replay } from "../support/write-matrix/replay";
import type { MatrixRead, Outcome, RepositoryOf, Shape, WritePath } from "../support/write-matrix/shape";
import { ShapeTables, text, type Difference, type State } from "../support/write-matrix/tables";
import { TREES } from "../support/write-matrix/trees";

const SHAPES: readonly Shape[] = [PRODUCTS, ...KEYED, ...TREES, ...OTHERS];
const STRATEGIES: readonly Strategy[] = ["write-through", "invalidate"];

/** Results by the titles of their reads. */
type Results = Record<string, string>;

/** What became of the results that did not change. */
interface Unchanged {
  readonly dropped: readonly string[];
  /** Dropped although they depend on single rows and values only. */
  readonly exactDropped: readonly string[];
  readonly exact: number;
}

async function run(reads: Record<string, MatrixRead>): Promise<Results> {
  const found = await Promise.all(Object.entries(reads).map(async ([title, { read }]) => [title, text(await read())]));
  return Object.fromEntries(found) as Results;
}

function differencesOf(found: Results, expected: Results): string[] {
  return Object.keys(found)
    .filter((title) => found[title] !== expected[title])
    .map((title) => `${title}: the database has ${expected[title]}, the cache gave ${found[title]}`);
}

/** Every write path x strategy x database x shape x form of transaction: what is cached is what the database has. */
describeEachDatabase("every way to write", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  const tablesOf = new Map<Shape, ShapeTables>();
  const stateOf = new Map<Shape, State>();
  /** What TypeORM reads when the tables are in a state; nearly all cells end in one of few. */
  const knownResults = new Map<string, Results>();
  const replay = new Replay();
  /** Loads that follow a write are the same with every database and strategy: SQLite is asked for them with one, Redis's cells too. */
  let isPeeking = true;
  /** By write path: how many results each form dropped that did not change; a second text where strategies differ. */
  const report = new Map<string, Set<string>>();
  afterAll(() => {
    const lines = [...report].map(([path, dropped]) => `  ${path}: ${[...dropped].join(" or ")}\n`);
    const forms = FORMS.map(({ title }) => title).join(" / ");
    process.stdout.write(`Needlessly dropped [${database.name}; ${forms}]\n${lines.join("")}`);
  });

  beforeAll(async () => {
    dataSource = await database.open(SHAPES.flatMap(({ entities }) => [...entities]));
    for (const shape of SHAPES) {
      await shape.seed(dataSource);
      const tables = new ShapeTables(database.name, dataSource, shape);
      await tables.remember();
      tablesOf.set(shape, tables);
    }
  });

  const cached: RepositoryOf = (entity) => cache.repository(entity);
  const plain: RepositoryOf = (entity) => dataSource.getRepository(entity);

  const nameOf = (shape: Shape, { rows }: State) => `${shape.name} ${rows}`;

  /** What TypeORM itself reads now. */
  async function stored(shape: Shape, state: State): Promise<Results> {
    const name = nameOf(shape, state);
    const known = knownResults.get(name) ?? (await run(shape.reads(plain)));
    knownResults.set(name, known);
    return known;
  }

  /** Puts the rows back behind the cache, tells it which these are, and fills it with all reads. */
  async function begin(shape: Shape): Promise<{ before: Results; wrong: string[] }> {
    const tables = tablesOf.get(shape)!;
    const differences = await tables.reset(stateOf.get(shape) ?? tables.seeded);
    stateOf.set(shape, tables.seeded);
    const expected = await stored(shape, tables.seeded);
    return replay.during(nameOf(shape, tables.seeded), async () => {
      for (const one of differences) {
        if ("entity" in one && isCached(one.entity)) await cache.invalidate<ObjectLiteral>(one.entity, one.id);
        // The cache sees a write of it, though of no row.
        else await dataSource.query(`DELETE FROM ${tableOf(one)} WHERE 1 = 0`);
      }
      const before = await run(shape.reads(cached));
      return { before, wrong: differencesOf(before, expected).map((one) => `before the write: ${one}`) };
    });
  }
  const isCached = (entity: EntityMetadata["target"]) => {
    try {
      return cache.repository(entity) !== undefined;
    } catch {
      return false;
    }
  };
  const tableOf = (one: Difference) => ("table" in one ? one.table : dataSource.getMetadata(one.entity).tableName);

  /** Reads one by one, to see which results are served although nothing can have changed them. */
  async function reread(
    shape: Shape,
    before: Results,
    expected: Results,
    { touches = [] }: WritePath,
  ): Promise<{ found: Results; unchanged: Unchanged }> {
    const found: Results = {};
    const [dropped, exactDropped]: string[][] = [[], []];
    let exact = 0;
    for (const [title, one] of Object.entries(shape.reads(cached))) {
      const { hits } = cache.stats();
      const result = await (isPeeking && one.bySql !== true ? replay.peek(one.read) : one.read());
      const isServed = cache.stats().hits > hits;
      if (isServed || result !== undefined) found[title] = text(result);
      if (expected[title] !== before[title] || touches.includes(title)) continue;
      if (one.exact) exact += 1;
      if (!isServed) dropped!.push(title);
      if (!isServed && one.exact) exactDropped!.push(title);
    }
    return { found, unchanged: { dropped: dropped!, exactDropped: exactDropped!, exact } };
  }

  /** One cell of the matrix: what is wrong with it, and how many results it dropped needlessly. */
  async function cell(shape: Shape, path: WritePath, form: Form): Promise<{ wrong: string[]; dropped: number }> {
    const { before, wrong: unready } = await begin(shape);
    const failure = await form.run(dataSource, path.write, shape.other).then(
      () => [],
      (error: unknown) => [`failed: ${String(error)}`],
    );
    const state = await tablesOf.get(shape)!.state();
    stateOf.set(shape, state);
    const expected = await stored(shape, state);
    const { found, unchanged } = await replay.during(nameOf(shape, state), () => reread(shape, before, expected, path));
    const again = isPeeking ? found : await run(shape.reads(cached));
    const wrong = [
      ...unready,
      ...differencesOf(found, expected),
      ...differencesOf(again, expected).map((one) => `the second time, ${one}`),
      ...imprecision(unchanged, outcomeOf(path, form)),
      // MariaDB has no savepoint any more.
      ...(path.commits === true ? [] : failure),
    ];
    return { wrong: wrong.map((one) => `${form.title}: ${one}`), dropped: unchanged.dropped.length };
  }

  describe.each(STRATEGIES)("%s", (strategy) => {
    // What TypeORM sends depends on the path; that the rest is the same on servers for both strategies is shown with TypeORM 1.
    const takesTurns = typeormLine === "0.3" && database.name !== "sqlite" && strategy === "invalidate";
    let turn = 0;
    beforeAll(async () => {
      isPeeking = database.name !== "sqlite" || strategy !== "write-through";
      replay.attach(dataSource);
      cache = await attachMemory(dataSource, { defaults: { strategy } });
    });
    afterAll(() => cache.close());

    describe.each(SHAPES)("$name", (shape) => {
      it.each(Object.entries(shape.paths(database)))("%s", async (title, path) => {
        const wrong: string[] = [];
        const dropped: number[] = [];
        turn += 1;
        for (const form of takesTurns ? [FORMS[turn % FORMS.length]!] : FORMS) {
          const outcome = await cell(shape, path, form);
          wrong.push(...outcome.wrong);
          dropped.push(outcome.dropped);
        }
        const name = `${shape.name}, ${title}`;
        if (!takesTurns) report.set(name, (report.get(name) ?? new Set()).add(dropped.join("/")));
        expect(wrong).toEqual([]);
      });
    });
  });

  // What the stores promise, test/contract/ shows; here each path meets the real one in one form, which take turns.
  if (database.name !== "postgres") return;
  describe("on Redis", () => {
    let server: RedisServer;
    let client: Redis;
    beforeAll(async () => {
      server = await startRedis();
      client = new Redis(server.url);
      const store = new RedisStore(client);
      replay.attach(dataSource);
      const strategy = "write-through";
      isPeeking = false;
      // A machine may be so busy that an answer takes its time.
      cache = await attachMemory(dataSource, { store, storeTimeout: 900, defaults: { strategy } });
      const groups = SHAPES.flatMap(({ entities }) =>
        entities.map((entity) => dataSource.getMetadata(entity).tablePath),
      );
      await quarantineOver(store, groups);
    });
    afterAll(async () => {
      await cache.close();
      client.disconnect();
      await server.stop();
    });

    const cells = SHAPES.flatMap((shape) =>
      Object.entries(shape.paths(database)).map(([title, path]) => ({ shape, title, path })),
    );
    it.each(cells.map((one, at) => ({ ...one, name: one.shape.name, form: FORMS[at % FORMS.length]! })))(
      "$name: $title, $form.title",
      async ({ shape, path, form }) => expect((await cell(shape, path, form)).wrong).toEqual([]),
    );
  });
});

/** What docs/consistency.md says of a write; one that was undone has dropped nothing, unless it committed before. */
function outcomeOf(path: WritePath, { fate }: Form): Outcome | "anything" {
  if (fate === "rolled back") return path.commits === true ? "anything" : "precise";
  return fate === "alone" ? path.alone : path.inTransaction;
}

function imprecision({ exact, exactDropped }: Unchanged, outcome: Outcome | "anything"): string[] {
  if (outcome === "precise" && exactDropped.length > 0) return [`dropped needlessly: ${exactDropped.join(", ")}`];
  if (outcome === "coarse" && exactDropped.length < exact) {
    return [`is more precise than documented: kept ${exact - exactDropped.length} of ${exact}`];
  }
  return [];
}
