import { randomUUID } from "node:crypto";
import Redis from "ioredis";
import { CATEGORIES, type Item, type ItemClass } from "./entities";
import { byCategory, byId, bySku, countOf, existsSku, topOf, type Lookup } from "./lookups";
import type { Protocol } from "./messages";
import type { Subject, SubjectOptions } from "./subjects";
import { widenedWindow } from "./windows";

/** Milliseconds; outlives any run: only what the protocol does takes an entry away. */
const TTL = 600_000;
/** Milliseconds after which the lease of a reader that died is void. */
const LEASE_TTL = 10_000;

/** Fills if the lease is still this reader's: whoever deletes the key ends the lease as well. */
const FILL_UNDER_LEASE = `
if redis.call("GET", KEYS[2]) ~= ARGV[2] then return 0 end
redis.call("DEL", KEYS[2])
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[3])
return 1`;

/**
 * Cache-aside as it is mostly written by hand: look, else load and SET. After COMMIT delete the keys, or SET the new rows; or, with
 * leases, let only that reader fill who missed first, unless the key was deleted meanwhile.
 *
 * Leases: R. Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.
 */
export async function byHand(
  protocol: Exclude<Protocol, "coherent" | "typeorm-cache">,
  { dataSource, redisUrl }: SubjectOptions,
): Promise<Subject> {
  const redis = new Redis(redisUrl);
  redis.on("error", () => undefined);
  let [hits, fills] = [0, 0];
  const keyOf = (item: ItemClass, { name }: Lookup) => `${item.name} ${name}`;
  const leaseOf = (key: string) => `lease ${key}`;
  const load = (item: ItemClass, lookup: Lookup) => lookup.load(dataSource.getRepository(item));

  const fill = async (key: string, value: unknown, lease?: string) => {
    const text = JSON.stringify(value);
    if (lease === undefined) await redis.set(key, text, "PX", TTL);
    else await redis.eval(FILL_UNDER_LEASE, 2, key, leaseOf(key), text, lease, TTL);
    fills += 1;
  };

  const deleteKeys = async (item: ItemClass, rows: readonly Item[]) => {
    const ofRows = rows.flatMap(({ id, sku }) => [byId(id), bySku(sku), existsSku(sku)]);
    const lists = CATEGORIES.flatMap((category) => [byCategory(category), countOf(category), topOf(category)]);
    const keys = [...ofRows, ...lists].map((lookup) => keyOf(item, lookup));
    await redis.del(...keys, ...(protocol === "lease" ? keys.map(leaseOf) : []));
  };
  return {
    repository: (item) => dataSource.getRepository(item),
    async read(item, lookup) {
      // Of a list of ids nobody could tell after a write under which keys it lies.
      if (lookup.name.startsWith("ids")) return load(item, lookup);
      const key = keyOf(item, lookup);
      const found = await redis.get(key);
      if (found !== null) {
        hits += 1;
        return JSON.parse(found) as Item[] | number;
      }
      const lease = protocol === "lease" ? randomUUID() : undefined;
      const mayFill = lease === undefined || (await redis.set(leaseOf(key), lease, "PX", LEASE_TTL, "NX")) !== null;
      const value = await load(item, lookup);
      await widenedWindow();
      if (mayFill) await fill(key, value, lease);
      return value;
    },
    async afterCommit(item, ids) {
      const rows = await dataSource.getRepository(item).find({ where: ids.map((id) => ({ id })), withDeleted: true });
      await widenedWindow();
      await deleteKeys(item, rows);
      if (protocol !== "set-after-commit") return;
      for (const row of rows) {
        const value = row.gone === null ? [row] : [];
        await Promise.all([byId(row.id), bySku(row.sku)].map((lookup) => fill(keyOf(item, lookup), value)));
      }
    },
    counts: () => ({ hits, fills }),
    close: async () => redis.disconnect(),
  };
}
