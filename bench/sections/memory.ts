import type Redis from "ioredis";
import { fullCache } from "../cases/full-cache";
import { LARGE_ROWS, ROW, type Reading } from "../cases/reading";
import type { Places } from "../places";
import { Product } from "../product";
import { grouped } from "../report/text";
import { inPlaces, type Section } from "./section";

/** What a cached row takes in Redis, against the row as JSON under a key of its own. */
export const memory: Section = {
  name: "memory per cached row",
  run: (context) =>
    inPlaces(context, async (places) => {
      const found: Usage[] = [];
      for (const reading of [ROW, ...LARGE_ROWS]) found.push(await usageOf(places, reading));
      return {
        title: "memory per cached row, bytes",
        columns: ["", "entry", "tags and guard", "together", "plain JSON SET", "ratio"],
        rows: found.map(({ group, entry, rest, plain }) => [
          group,
          ...[entry, rest, entry + rest, plain].map(grouped),
          ((entry + rest) / plain).toFixed(2),
        ]),
        note: "MEMORY USAGE of all keys, divided by the rows.",
        figures: { "memory per row": (found[0]!.entry + found[0]!.rest) / found[0]!.plain },
      };
    }),
};

/** Bytes per row. */
interface Usage {
  readonly group: string;
  readonly entry: number;
  /** Tags, and what all rows share. */
  readonly rest: number;
  readonly plain: number;
}

async function usageOf(places: Places, reading: Reading): Promise<Usage> {
  const client = places.client({ enableAutoPipelining: true });
  const { namespace, cache } = await fullCache(places, "redis", reading);
  const { group, shape } = reading;
  const prefix = `plain-${shape.text}:product:`;
  for (let id = 1; id <= shape.rows; id += 1) {
    const row = await cache.repository(Product).findOneByOrFail({ id });
    await client.set(`${prefix}${id}`, JSON.stringify(row), "EX", 3600);
  }
  const ours = await usage(client, `${namespace}:`);
  const entry = sum(ours.filter(([key]) => key.includes("}:e:"))) / shape.rows;
  const rest = sum(ours.filter(([key]) => !key.includes("}:e:"))) / shape.rows;
  return { group, entry, rest, plain: sum(await usage(client, prefix)) / shape.rows };
}

/** Keys that begin with a text, and the bytes of each. */
async function usage(client: Redis, prefix: string): Promise<(readonly [string, number])[]> {
  const keys = await client.keys(`${prefix}*`);
  return Promise.all(keys.map(async (key) => [key, (await client.memory("USAGE", key)) ?? 0] as const));
}

const sum = (keys: readonly (readonly [string, number])[]) => keys.reduce((total, [, bytes]) => total + bytes, 0);
