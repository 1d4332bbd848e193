// npm run bench:precision -- [--reads N] [--by-kind]: how much more than it must a cache drops; see ../README.md.
import "reflect-metadata";
import { parseArgs } from "node:util";
import { DataSource } from "typeorm";
import { attachCache, MemoryStore } from "typeorm-coherent";
import { databases } from "../../test/support/databases";
import { fillShop, SHOP } from "./shop";
import { chance, picker, READS, weighted, WRITES, type Doors } from "./workload";

const { values } = parseArgs({
  options: { reads: { type: "string", default: "20000" }, "by-kind": { type: "boolean", default: false } },
});
const TURNS = Number(values.reads);
/** One write comes with so many reads. */
const READS_PER_WRITE = 9;
/** TTL of the cache that only has that, in reads: at 100 a second, 10 seconds. */
const TTL = 1000;

/** What one way to keep a cache right came to. */
class Tally {
  hits = 0;
  /** Hits with another result than the database's. */
  stale = 0;
  /** Entries that were gone although the result had not changed. */
  needless = 0;
  /** Reads of something that was in the cache before. */
  again = 0;
  reads = 0;

  add(known: boolean, hit: boolean, changed: boolean): void {
    this.reads += 1;
    if (known) this.again += 1;
    if (hit) this.hits += 1;
    if (hit && changed) this.stale += 1;
    if (known && !hit && !changed) this.needless += 1;
  }
}

interface Kept {
  readonly result: string;
  readonly turn: number;
  /** The number of writes that its tables had seen. */
  readonly writes: number;
}

async function main(): Promise<void> {
  const sqlite = databases().find(({ name }) => name === "sqlite")!;
  const options = await sqlite.options(SHOP, { file: true });
  const dataSource = await new DataSource(options).initialize();
  const uncached = await new DataSource({ ...options, synchronize: false }).initialize();
  try {
    await fillShop(dataSource);
    const cache = await attachCache(dataSource, {
      store: new MemoryStore({ maxEntries: 1_000_000, maxBytes: 512 * 1024 * 1024 }),
      consistency: "strict",
    });
    const ours: Doors = {
      repository: (target) => cache.repository(target),
      manager: dataSource.manager,
      cached: true,
    };
    const plain: Doors = {
      repository: (target) => uncached.getRepository(target),
      manager: uncached.manager,
      cached: false,
    };
    const random = chance(1);
    const pick = picker(random);
    const tallies = { ours: new Tally(), tables: new Tally(), ttl: new Tally(), oracle: new Tally() };
    const byKind = new Map(READS.map(({ name }) => [name, { ours: new Tally(), tables: new Tally() }]));
    const kept = new Map<string, Record<keyof typeof tallies, Kept>>();
    const writesOf = new Map<unknown, number>();
    for (let turn = 0; turn < TURNS; turn += 1) {
      if (turn % READS_PER_WRITE === 0) {
        const write = weighted(WRITES, random);
        await write.run(dataSource.manager, pick());
        for (const table of write.tables) writesOf.set(table, (writesOf.get(table) ?? 0) + 1);
      }
      const read = weighted(READS, random);
      const picked = pick();
      const expected = JSON.stringify(await read.run(plain, picked)) ?? "none";
      const misses = missesOf(cache.stats().misses);
      const found = JSON.stringify(await read.run(ours, picked)) ?? "none";
      const hit = missesOf(cache.stats().misses) === misses;
      if (found !== expected) throw new Error(`Stale: ${read.name} gave ${found}, but the database has ${expected}.`);
      // What it would be called in a cache: its kind and whatever of the numbers it uses.
      const name = `${read.name} ${JSON.stringify(await nameOf(read.run, picked))}`;
      const writes = read.tables.reduce((sum, table) => sum + (writesOf.get(table) ?? 0), 0);
      const now: Kept = { result: expected, turn, writes };
      const before = kept.get(name);
      const isHit = {
        ours: hit,
        tables: before?.tables.writes === writes,
        ttl: before !== undefined && turn - before.ttl.turn < TTL,
        oracle: before?.oracle.result === expected,
      };
      const next = { ...(before ?? { ours: now, tables: now, ttl: now, oracle: now }) };
      for (const way of Object.keys(tallies) as (keyof typeof tallies)[]) {
        const changed = before !== undefined && (way === "ours" && hit ? found : before[way].result) !== expected;
        tallies[way].add(before !== undefined, isHit[way], changed);
        if (way === "ours" || way === "tables")
          byKind.get(read.name)![way].add(before !== undefined, isHit[way], changed);
        // Ours may have been filled by a read of another name, and is compared with the database anyway.
        if (!isHit[way] || way === "ours") next[way] = now;
      }
      kept.set(name, next);
    }
    process.stdout.write(`${report(tallies)}\n`);
    if (values["by-kind"]) process.stdout.write(`\n${kinds(byKind)}\n`);
  } finally {
    await dataSource.destroy();
    await uncached.destroy();
    await sqlite.cleanup();
  }
}

const missesOf = (misses: Readonly<Record<string, number>>) => Object.values(misses).reduce((sum, one) => sum + one, 0);

/** Which of the numbers a read uses: a proxy notes what it takes. */
async function nameOf(
  run: (typeof READS)[number]["run"],
  picked: Parameters<(typeof READS)[number]["run"]>[1],
): Promise<unknown> {
  const used: Record<string, number> = {};
  const noting = new Proxy(picked, {
    get: (target, name: keyof typeof picked) => (used[name] = target[name]),
  });
  const nothing: unknown = new Proxy(() => nothing, {
    get: (_, name) => (name === "then" ? undefined : nothing),
    apply: () => nothing,
  });
  await run({ repository: () => nothing, manager: nothing, cached: false } as never, noting);
  return used;
}

function report(tallies: Readonly<Record<"ours" | "tables" | "ttl" | "oracle", Tally>>): string {
  const { ours, tables, ttl, oracle } = tallies;
  const percent = (part: number, of: number) => `${((100 * part) / of).toFixed(2)} %`;
  const row = (name: string, one: Tally) =>
    [
      name.padEnd(34),
      percent(one.hits, one.reads).padStart(10),
      String(one.needless).padStart(10),
      percent(one.needless, one.again).padStart(12),
      percent(one.stale, Math.max(1, one.hits)).padStart(10),
    ].join(" ");
  const ratio = tables.needless / Math.max(1, ours.needless);
  const points = (100 * (oracle.hits - ours.hits)) / ours.reads;
  return [
    [
      " ".repeat(34),
      "hit ratio".padStart(10),
      "needless".padStart(10),
      "of re-reads".padStart(12),
      "stale hits".padStart(10),
    ].join(" "),
    row("typeorm-coherent", ours),
    row("invalidation by table", tables),
    row(`TTL only, ${TTL} reads long`, ttl),
    row("oracle: drops what has changed", oracle),
    "",
    `needless invalidations, by table / ours: ${ratio.toFixed(1)} (aim 10: ${ratio >= 10 ? "met" : "missed"})`,
    `hit ratio below the oracle's: ${points.toFixed(2)} points (aim 2: ${points <= 2 ? "met" : "missed"})`,
    `${ours.reads} reads, ${Math.ceil(TURNS / READS_PER_WRITE)} writes; every result was compared with the database's.`,
  ].join("\n");
}

function kinds(byKind: ReadonlyMap<string, Readonly<Record<"ours" | "tables", Tally>>>): string {
  return [...byKind]
    .map(
      ([name, { ours, tables }]) =>
        `${name.padEnd(42)} needless ${String(ours.needless).padStart(6)} of ${String(ours.again).padStart(6)}, by table ${String(tables.needless).padStart(6)}`,
    )
    .join("\n");
}

void main();
