import { placed, stripeOf } from "../../src/core/stripe";
import { slotOf, SLOTS } from "../../src/store/redis/key-slot";
import { Spread } from "../../src/store/redis/spread";
import { Calendar } from "./calendar";
import type { Costs } from "./costs";

/** What is simulated. Rates are per second of all processes together, times microseconds. */
export interface FleetSettings {
  readonly processes: number;
  readonly nodes: number;
  readonly reads: number;
  readonly writes: number;
  /** Share of the writes that do not know their rows, and lock each part of their table. */
  readonly coarse: number;
  readonly tables: number;
  /** Of each table; the first ones are read most, by Zipf's law with exponent 1, and all are written alike. */
  readonly rows: number;
  /** Share of the reads and writes that are of the first table. */
  readonly hotTable: number;
  readonly near: "off" | "trust";
  readonly roundTrip: number;
  /** Of a load, and of a COMMIT. */
  readonly database: number;
  readonly seconds: number;
}

/** What came of it. Times are microseconds. */
export interface FleetReport {
  /** Share of its time in which each node is at work. */
  readonly nodes: readonly number[];
  readonly hitRatio: number;
  /** Share of the reads that a copy in the process answers. */
  readonly copies: number;
  readonly p50: number;
  readonly p99: number;
  readonly loads: number;
  /** Share of a core that the reads take in each process. */
  readonly reader: number;
  /** Locks per second in the part of a table that has most of them. */
  readonly locksInBusiestPart: number;
}

/** Something that a client does next; `then` gets the time when the answer is there. */
type Event = () => void;

/** Microseconds of one look at the calendar. */
const DAY = 20;

/**
 * A fleet of processes on a Redis Cluster, as queues: each node does one thing after the other and takes for it what it was measured to take;
 * the network and the database take a fixed time and are never busy. Rows are cached or not, locked or not, as the protocol has it; keys lie
 * where the library puts them.
 */
export function simulate(settings: FleetSettings, costs: Costs): FleetReport {
  const { nodes, reads, writes, rows, tables, seconds, roundTrip, database, processes } = settings;
  const end = seconds * 1e6;
  const calendar = new Calendar<Event>(DAY, end);
  const layout = new Layout(nodes, tables);
  const freeAt = new Float64Array(nodes);
  const busy = new Float64Array(nodes);
  let now = 0;

  /** A command on its way to a node; the answer comes back after the queue and the work. */
  const send = (node: number, cost: number, then: (done: number) => void) => {
    const arrival = now + roundTrip / 2;
    calendar.enter(arrival, () => {
      now = Math.max(now, arrival);
      const done = Math.max(freeAt[node]!, arrival) + cost;
      freeAt[node] = done;
      busy[node]! += cost;
      const back = done + roundTrip / 2;
      calendar.enter(back, () => {
        now = back;
        then(back);
      });
    });
  };
  const sendAll = (pieces: readonly (readonly [node: number, cost: number])[], then: (done: number) => void) => {
    let open = pieces.length;
    for (const [node, cost] of pieces) send(node, cost, (done) => (open -= 1) === 0 && then(done));
  };
  const later = (delay: number, event: Event) => {
    const time = now + delay;
    calendar.enter(time, () => {
      now = time;
      event();
    });
  };

  const cached = Array.from({ length: tables }, () => new Uint8Array(rows).fill(1));
  const locked = Array.from({ length: tables }, () => new Uint16Array(rows));
  const lockedTables = new Uint16Array(tables);
  const picked = picker(settings);
  const near = nearRatio(settings);
  const latencies: number[] = [];
  const counts = { reads: 0, hits: 0, copies: 0, loads: 0 };
  const locks = new Map<string, number>();

  const read = () => {
    const { table, popular: row } = picked();
    counts.reads += 1;
    if (settings.near === "trust" && Math.random() < near(table, row)) {
      counts.copies += 1;
      latencies.push(costs.readerCopy);
      return;
    }
    const begun = now;
    const node = layout.nodeOf(table, row);
    send(node, costs.hit, (answered) => {
      const isLocked = locked[table]![row]! > 0 || lockedTables[table]! > 0;
      if (cached[table]![row] === 1 && !isLocked) {
        counts.hits += 1;
        latencies.push(answered - begun);
        return;
      }
      counts.loads += 1;
      send(node, costs.prepare, () =>
        later(database, () => {
          latencies.push(now - begun);
          const isFilled = locked[table]![row] === 0 && lockedTables[table] === 0;
          if (isFilled) send(node, costs.fill, () => (cached[table]![row] = 1));
        }),
      );
    });
  };

  const write = () => {
    const { table, any: row } = picked();
    const isCoarse = Math.random() < settings.coarse;
    const parts = isCoarse ? layout.allParts(table) : layout.partsOf(table, row);
    for (const { name } of parts) locks.set(name, (locks.get(name) ?? 0) + 1);
    const pieces = (cost: number) => parts.map(({ node }) => [node, cost] as const);
    const change = (by: 1 | -1) => {
      if (isCoarse) lockedTables[table]! += by;
      else locked[table]![row]! += by;
    };
    const tell = () => {
      if (settings.near === "trust") send(layout.anyChannel(), processes * costs.delivery, () => undefined);
    };
    sendAll(pieces(costs.lock), () => {
      change(1);
      if (isCoarse) cached[table]!.fill(0);
      else cached[table]![row] = 0;
      tell();
      later(database, () =>
        sendAll(pieces(costs.unlock), () => {
          change(-1);
          tell();
        }),
      );
    });
  };

  every(1e6 / reads, end, calendar, (time) => {
    now = time;
    read();
  });
  every(1e6 / writes, end, calendar, (time) => {
    now = time;
    write();
  });
  calendar.run((event) => event());
  latencies.sort((left, right) => left - right);
  const at = (share: number) => latencies[Math.floor(share * (latencies.length - 1))] ?? 0;
  const fromRedis = counts.reads - counts.copies;
  return {
    nodes: Array.from(busy, (time) => time / end),
    hitRatio: (counts.hits + counts.copies) / counts.reads,
    copies: counts.copies / counts.reads,
    p50: at(0.5),
    p99: at(0.99),
    loads: counts.loads / seconds,
    reader: (fromRedis * costs.readerHit + counts.copies * costs.readerCopy) / processes / end,
    locksInBusiestPart: Math.max(0, ...locks.values()) / seconds,
  };
}

/** Events by chance, one after the other, so many microseconds apart on average. */
function every(pause: number, end: number, calendar: Calendar<Event>, happen: (time: number) => void): void {
  if (!Number.isFinite(pause)) return;
  let time = 0;
  const next = () => {
    time += -Math.log(1 - Math.random()) * pause;
    if (time >= end) return;
    const at = time;
    calendar.enter(at, () => {
      happen(at);
      next();
    });
  };
  next();
}

interface Part {
  readonly name: string;
  readonly node: number;
}

/** Where the library puts things, on nodes with equal ranges of slots. */
class Layout {
  private readonly spread = Spread.overCluster();
  private readonly parts: readonly (readonly Part[])[];
  private readonly channels: readonly number[];

  constructor(
    private readonly nodes: number,
    tables: number,
  ) {
    this.parts = Array.from({ length: tables }, (_, table) =>
      this.spread.partsOf(groupOf(table)).map((name) => ({ name, node: this.nodeAt(this.spread.hashTagOf(name)) })),
    );
    this.channels = this.spread.partsOf("*changes").map((part) => this.nodeAt(this.spread.hashTagOf(part)));
  }

  /** Of some process. */
  anyChannel(): number {
    return this.channels[Math.floor(Math.random() * this.channels.length)]!;
  }

  nodeOf(table: number, row: number): number {
    const { stripe } = placed(groupOf(table), "", tagsOf(table, row), this.spread.stripes);
    return this.parts[table]![Number(stripe.slice(1))]!.node;
  }

  allParts(table: number): readonly Part[] {
    return this.parts[table]!;
  }

  /** Of a write that knows its row: that of the row, and that of the tag that each such write touches. */
  partsOf(table: number, row: number): readonly Part[] {
    const own = [...tagsOf(table, row).slice(1), `${groupOf(table)}|*`];
    const stripes = new Set(own.map((tag) => stripeOf(tag, this.spread.stripes)));
    return Array.from(stripes, (stripe) => this.parts[table]![Number(stripe.slice(1))]!);
  }

  private nodeAt(hashTag: string): number {
    return Math.floor((slotOf(hashTag) * this.nodes) / SLOTS);
  }
}

function groupOf(table: number): string {
  return `public.table_${table}`;
}

function tagsOf(table: number, row: number): string[] {
  return [`${groupOf(table)}|`, `${groupOf(table)}|id=${row}`];
}

/** A table, and a row of it by Zipf's law, and any row. */
function picker({ tables, rows, hotTable }: FleetSettings): () => { table: number; popular: number; any: number } {
  const spread = Math.log(rows + 1);
  return () => ({
    table: tables === 1 || Math.random() < hotTable ? 0 : 1 + Math.floor(Math.random() * (tables - 1)),
    popular: Math.min(rows - 1, Math.floor(Math.exp(Math.random() * spread)) - 1),
    any: Math.floor(Math.random() * rows),
  });
}

/**
 * How likely a process has a copy of a row. It is not simulated, since a second is too short for so many processes to come to a balance; but
 * the balance is known: the last thing that happened to the row, in the eyes of this process, was a read of its own and no write of anybody.
 */
function nearRatio({ processes, reads, writes, coarse, tables, rows, hotTable }: FleetSettings) {
  const whole = Math.log(rows + 1);
  const shareOf = (table: number) => (tables === 1 ? 1 : table === 0 ? hotTable : (1 - hotTable) / (tables - 1));
  return (table: number, row: number): number => {
    const popularity = shareOf(table) * (Math.log((row + 2) / (row + 1)) / whole);
    const own = (reads * popularity) / processes;
    const others = writes * shareOf(table) * ((1 - coarse) / rows + coarse);
    return own / (own + others);
  };
}
