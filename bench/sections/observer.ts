import type { DataSource, QueryRunner } from "typeorm";
import { attachCache, MemoryStore } from "typeorm-coherent";
import { SqlAnalyzer } from "../../src/sql/statement";
import { median } from "../measure";
import { newProducts, Product } from "../product";
import type { Table } from "../report/result";
import { inPlaces, type Section } from "./section";

/** Microseconds that the observer may add in front of a statement. */
const BUDGET = 5;
/** Statements of one transaction; above 1000 rows the cache would stop counting rows, which is cheaper. */
const IN_ONE = 500;

interface Sent {
  readonly kind: string;
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** What the observer adds to each kind of statement of TypeORM, and what reading a new text takes. */
export const observer: Section = {
  name: "observer",
  run: (context) =>
    inPlaces(context, async (places): Promise<Table> => {
      const sent: Sent[] = [];
      const dataSource = await places.openEmpty("sqlite", { logger: loggerInto(sent) });
      sent.length = 0;
      await writeAndRead(dataSource);
      const texts = [...new Map(sent.map((one) => [one.kind, one])).values()];
      const added = await addedTo(texts, dataSource, context.rounds);
      const first = firstTimes(texts, context.rounds);
      return {
        title: "observer, per statement",
        columns: ["", "adds", `at most ${BUDGET} µs`, "text never seen before: more"],
        rows: added.map(({ kind, time }, at) => [
          kind,
          `${time.toFixed(2)} µs`,
          time <= BUDGET ? "met" : "MISSED",
          `${first[at]!.time.toFixed(2)} µs`,
        ]),
      };
    }),
};

function loggerInto(sent: Sent[]): object {
  const logQuery = (sql: string, parameters: unknown[] = []) => {
    const kind = sql.slice(0, 6);
    if (/^(?:SELECT|INSERT|UPDATE|DELETE)$/.test(kind)) sent.push({ kind, sql, parameters });
  };
  const nothing = () => undefined;
  return {
    ...{ logQuery, logQueryError: nothing, logQuerySlow: nothing },
    ...{ logSchemaBuild: nothing, logMigration: nothing, log: nothing },
  };
}

/** Sends what is measured: one SELECT, INSERT, UPDATE and DELETE each, by id. */
async function writeAndRead(dataSource: DataSource): Promise<void> {
  const products = dataSource.getRepository(Product);
  const { id } = await products.save(products.create(newProducts()[0]!));
  const product = await products.findOneByOrFail({ id });
  product.stock += 1;
  await products.save(product);
  await products.remove(product);
}

/** The same statements with and without the observer, above a query runner that does nothing, in a running transaction. */
async function addedTo(texts: readonly Sent[], dataSource: DataSource, rounds: number) {
  const { driver } = dataSource;
  const original = driver.createQueryRunner.bind(driver);
  const idle = () => {
    const connection = {};
    return { connect: () => Promise.resolve(connection), query: () => Promise.resolve([]) } as unknown as QueryRunner;
  };
  let idling = false;
  driver.createQueryRunner = (mode) => (idling ? idle() : original(mode));
  const cache = await attachCache(dataSource, { store: new MemoryStore(), entities: { Product: { ttl: "1h" } } });
  idling = true;
  try {
    const [plain, observed] = [idle(), driver.createQueryRunner("master")];
    const times = texts.map(({ kind }) => ({ kind, added: [] as number[] }));
    // The first rounds warm up.
    for (let round = -10; round < rounds * 10; round += 1) {
      for (const [at, text] of texts.entries()) {
        const added = (await timeOf(observed, text)) - (await timeOf(plain, text));
        if (round >= 0) times[at]!.added.push(added);
      }
    }
    return times.map(({ kind, added }) => ({ kind, time: median(added) }));
  } finally {
    await cache.close();
  }
}

/** Microseconds per statement. */
async function timeOf(runner: QueryRunner, { kind, sql, parameters }: Sent): Promise<number> {
  // UPDATE and DELETE end with the id: each hits another row.
  const others = kind === "INSERT" ? parameters : parameters.slice(0, -1);
  const last = kind === "INSERT" ? [] : [0];
  const all = Array.from({ length: IN_ONE }, (_, turn) => [...others, ...last.map(() => turn + 1)]);
  await runner.query("BEGIN TRANSACTION");
  const start = performance.now();
  for (const each of all) await runner.query(sql, each);
  const time = performance.now() - start;
  await runner.query("ROLLBACK");
  return (1000 * time) / IN_ONE;
}

/** A comment makes each text a new one. */
function firstTimes(texts: readonly Sent[], rounds: number) {
  const analyzer = new SqlAnalyzer("sqlite");
  let turn = 0;
  return texts.map(({ kind, sql }) => {
    const times = Array.from({ length: rounds * 10 }, () => {
      const fresh = Array.from({ length: IN_ONE }, () => `${sql} /* ${(turn += 1)} */`);
      const start = performance.now();
      for (const text of fresh) analyzer.analyze(text);
      return (1000 * (performance.now() - start)) / IN_ONE;
    });
    return { kind, time: median(times) };
  });
}
