import { Redis } from "ioredis";
import { Column, DataSource, Entity, PrimaryColumn, type Logger } from "typeorm";
import { attachCache, Cached, CacheKey, RedisStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { quarantineOver } from "./cache-harness";

/** Has values that nobody but who reads the row may see. */
@Entity()
@Cached({ strategy: "write-through" })
export class Patient {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column({ unique: true }) email!: string;
  @CacheKey() @Column() wardId!: number;
  @Column() diagnosis!: string;
}

@Entity()
@Cached({ near: { mode: "verify" } })
export class Ward {
  @PrimaryColumn() id!: number;
  @Column() name!: string;
}

/** Patients 1 to 3 of ward 1, on SQLite in memory, with their cache in Redis. */
export interface Clinic {
  readonly cache: CoherentCache;
  readonly dataSource: DataSource;
  close(): Promise<void>;
}

/** @param logger hears of each statement */
export async function openClinic(
  url: string,
  namespace: string,
  options: CacheOptions = {},
  logQuery: Logger["logQuery"] = () => undefined,
): Promise<Clinic> {
  const ignored = () => undefined;
  const logger: Logger = {
    ...{ logQuery, logQueryError: ignored, logQuerySlow: ignored, logSchemaBuild: ignored },
    ...{ logMigration: ignored, log: ignored },
  };
  const place = { type: "better-sqlite3", database: ":memory:", synchronize: true, logger } as const;
  const dataSource = await new DataSource({ ...place, entities: [Patient, Ward] }).initialize();
  await dataSource.getRepository(Ward).insert({ id: 1, name: "east" });
  for (const id of [1, 2, 3]) {
    const row = { id, email: emailOf(id), wardId: 1, diagnosis: `diagnosis-of-${id}` };
    await dataSource.getRepository(Patient).insert(row);
  }
  const client = new Redis(url, { lazyConnect: true });
  client.on("error", ignored);
  const store = new RedisStore(client);
  const quiet = { warn: ignored };
  // A quarantine as long as lockTtl passes first; shorter, and a busy machine would miss the time that a call may take.
  const times = { lockTtl: 500, storeTimeout: 240 };
  const cache = await attachCache(dataSource, { store, namespace, ...times, logger: quiet, ...options });
  await quarantineOver(store, ["patient", "ward"]);
  const close = async () => {
    await cache.close();
    await dataSource.destroy();
    client.disconnect();
  };
  return { cache, dataSource, close };
}

export const emailOf = (id: number) => `patient-${id}@example.org`;
