import type { CoherentCache } from "typeorm-coherent";
import type { EntityRow, Invalidation, Tick } from "./messages";

/** Seconds that the charts show. */
const SECONDS = 120;
const MOST_INVALIDATIONS = 50;
const MOST_TAGS = 6;
/** Keys that are counted, per entity. */
const MOST_KEYS = 20_000;

interface Counts {
  hits: number;
  misses: number;
  bypasses: number;
}

/** What has happened lately: hears of the cache's events, and adds them up by second and by entity. */
export class Board {
  readonly ticks: Tick[] = [];
  readonly invalidations: Invalidation[] = [];
  private second = { hits: 0, misses: 0, bypasses: 0, invalidations: 0 };
  private micros: number[] = [];
  private readonly counts = new Map<string, Counts>();
  /** By entity, the keys that were stored and when their time is over. */
  private readonly stored = new Map<string, Map<string, number>>();
  private readonly undo: (() => void)[];

  constructor(
    private readonly cache: CoherentCache,
    private readonly onInvalidation: (invalidation: Invalidation) => void,
  ) {
    const ttlOf = (name: string) => cache.entities.find((entity) => entity.name === name)?.ttl ?? 0;
    this.undo = [
      cache.on("hit", ({ entity }) => this.count(entity, "hits")),
      cache.on("staleHit", ({ entity }) => this.count(entity, "hits")),
      cache.on("miss", ({ entity, key }) => {
        this.count(entity, "misses");
        this.stored.get(entity)?.delete(key);
      }),
      cache.on("bypass", ({ entity }) => this.count(entity, "bypasses")),
      cache.on("fill", ({ entity, key, ttl }) => this.store(entity, key, ttl)),
      cache.on("writeThrough", ({ entity, key }) => this.store(entity, key, ttlOf(entity))),
      cache.on("invalidate", ({ tags, cause, path }) => this.invalidated(tags, cause, path)),
      cache.on("invalidated", ({ own, tags, operation, table }) => {
        if (!own) this.invalidated(tags, `${operation} ${table}`, "another process");
      }),
    ];
  }

  /** A read took so long, whoever answered it. */
  took(micros: number): void {
    this.micros.push(micros);
  }

  /** Ends a second. */
  tick(): Tick {
    const sorted = this.micros.sort((one, other) => one - other);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;
    const away = this.cache.stats().storeState === "down";
    const tick = { at: Date.now(), ...this.second, away, p50: at(0.5), p99: at(0.99) };
    this.ticks.push(tick);
    if (this.ticks.length > SECONDS) this.ticks.shift();
    this.second = { hits: 0, misses: 0, bypasses: 0, invalidations: 0 };
    this.micros = [];
    return tick;
  }

  entities(): EntityRow[] {
    return this.cache.entities.map(({ name, strategy, ttl }) => {
      const counts = this.counts.get(name) ?? { hits: 0, misses: 0, bypasses: 0 };
      return { name, strategy, ttl, entries: this.entriesOf(name), ...counts };
    });
  }

  /** The store was emptied. */
  forget(): void {
    this.stored.clear();
  }

  close(): void {
    for (const step of this.undo.splice(0)) step();
  }

  private count(entity: string, outcome: keyof Counts): void {
    this.second[outcome] += 1;
    const counts = this.counts.get(entity) ?? { hits: 0, misses: 0, bypasses: 0 };
    counts[outcome] += 1;
    this.counts.set(entity, counts);
  }

  private store(entity: string, key: string, ttl: number): void {
    const keys = this.stored.get(entity) ?? new Map<string, number>();
    this.stored.set(entity, keys);
    if (keys.size < MOST_KEYS || keys.has(key)) keys.set(key, Date.now() + ttl);
  }

  private entriesOf(entity: string): number {
    const keys = this.stored.get(entity);
    const now = Date.now();
    for (const [key, until] of keys ?? []) if (until <= now) keys?.delete(key);
    return keys?.size ?? 0;
  }

  private invalidated(tags: readonly string[], cause: string, path: string): void {
    this.second.invalidations += 1;
    const more = Math.max(0, tags.length - MOST_TAGS);
    const invalidation = { at: Date.now(), cause, path, tags: tags.slice(0, MOST_TAGS), more };
    this.invalidations.push(invalidation);
    if (this.invalidations.length > MOST_INVALIDATIONS) this.invalidations.shift();
    this.onInvalidation(invalidation);
  }
}
