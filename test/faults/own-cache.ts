import { DataSource, type DataSourceOptions } from "typeorm";
import type { Subject, SubjectOptions } from "./subjects";

/** Milliseconds for which a result is served, as its users set it: nothing else takes it away. */
const DURATION = 1000;

/** TypeORM's own query cache in Redis, on every read. Writes go past it, since it does not know them. */
export async function ownCache({ dataSource, redisUrl }: SubjectOptions): Promise<Subject> {
  const { hostname, port } = new URL(redisUrl);
  const cache = {
    ...{ type: "ioredis", duration: DURATION, alwaysEnabled: true, ignoreErrors: true },
    options: { host: hostname, port: Number(port) },
  };
  const reading = new DataSource({ ...dataSource.options, synchronize: false, cache } as DataSourceOptions);
  await reading.initialize();
  const results = reading.queryResultCache!;
  // TypeORM does not listen, and each connection that is cut would be told on standard error.
  const { client } = results as unknown as { readonly client: { on(event: "error", listener: () => void): void } };
  client.on("error", () => undefined);
  let hits = 0;
  const getFromCache = results.getFromCache.bind(results);
  results.getFromCache = async (...args) => {
    const found = await getFromCache(...args);
    if (found !== undefined && !results.isExpired(found)) hits += 1;
    return found;
  };
  return {
    repository: (item) => dataSource.getRepository(item),
    read: (item, lookup) => lookup.load(reading.getRepository(item)),
    afterCommit: () => Promise.resolve(),
    counts: () => ({ hits }),
    close: () => reading.destroy(),
  };
}
