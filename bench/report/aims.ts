import { NAMES, SAVES } from "../cases/names";
import { LISTS, ROW } from "../cases/reading";
import { median, type Sample, type Series } from "../measure";
import type { Figure, Table, Verdict } from "./result";

/** All that was measured. */
interface Measured {
  readonly series: readonly Series[];
  readonly tables: readonly Table[];
}

/** Something that we aim for. */
interface Aim {
  readonly text: string;
  readonly side: Verdict["side"];
  readonly bound: number;
  /** NaN if the run did not measure it. */
  readonly of: (measured: Measured) => number;
}

const LIST_OF_50 = LISTS[1]!.group;

const AIMS: readonly Aim[] = [
  ...[1, 64].map((inFlight) => latency(ROW.group, NAMES.redisHit, NAMES.mgetDecoded, inFlight, 1.15)),
  {
    text: `throughput, 64 in flight: ${NAMES.redisHit} / ${NAMES.pipelinedMget}`,
    side: "at least",
    bound: 0.8,
    of: ratio("throughput", ROW.group, NAMES.redisHit, NAMES.pipelinedMget, 64),
  },
  {
    text: `throughput, 64 in flight: ${NAMES.redisHit} / ${NAMES.ownCache}`,
    side: "at least",
    bound: 5,
    of: ratio("throughput", ROW.group, NAMES.redisHit, NAMES.ownCache, 64),
  },
  faster(LIST_OF_50, NAMES.redisHit, NAMES.ownCache, 5),
  {
    text: `p50 in µs, 1 in flight: ${NAMES.trustHit}`,
    side: "at most",
    bound: 2,
    of: ({ series }) => median(samplesOf(series, ROW.group, NAMES.trustHit, 1).map(({ p50 }) => p50)),
  },
  faster(ROW.group, NAMES.trustHit, NAMES.sqlite, 20),
  latency(ROW.group, NAMES.verifyHit, NAMES.ping, 1, 1.05),
  latency(ROW.group, NAMES.verifyHit, NAMES.mgetOfTags, 1, 1.05),
  ...[1, 64].flatMap((inFlight) =>
    [NAMES.saveInvalidate, NAMES.saveWriteThrough].map((name) => latency(SAVES, name, NAMES.save, inFlight, 1.2)),
  ),
  figure("memory per row", "bytes in Redis per cached row of 200 B / plain JSON SET", 1.6),
  figure("allocation, RedisStore", "bytes that a hit allocates / size of the entity, RedisStore", 3),
  figure("allocation, near trust", "bytes that a hit allocates / size of the entity, near trust", 3),
];

/** What became of the aims that the run has measured. */
export function verdicts(measured: Measured): Verdict[] {
  return AIMS.flatMap(({ text, side, bound, of }) => {
    const value = of(measured);
    if (Number.isNaN(value)) return [];
    return [{ text, side, bound, measured: value, met: side === "at most" ? value <= bound : value >= bound }];
  });
}

function latency(group: string, ours: string, peer: string, inFlight: number, bound: number): Aim {
  const text = `p50, ${inFlight} in flight, ${group}: ${ours} / ${peer}`;
  return { text, side: "at most", bound, of: ratio("p50", group, ours, peer, inFlight) };
}

function faster(group: string, ours: string, peer: string, bound: number): Aim {
  const text = `p50, 1 in flight, ${group}: ${peer} / ${ours}`;
  return { text, side: "at least", bound, of: ratio("p50", group, peer, ours, 1) };
}

function figure(name: Figure, text: string, bound: number): Aim {
  const of = ({ tables }: Measured) => tables.find(({ figures }) => figures?.[name] !== undefined)?.figures?.[name];
  return { text, side: "at most", bound, of: (measured) => of(measured) ?? NaN };
}

/** A ratio is taken within each round, since both ran close together there. */
function ratio(measure: keyof Sample, group: string, over: string, under: string, inFlight: number): Aim["of"] {
  return ({ series }) => {
    const unders = samplesOf(series, group, under, inFlight);
    const ratios = samplesOf(series, group, over, inFlight).map(
      (sample, round) => sample[measure] / (unders[round]?.[measure] ?? NaN),
    );
    return median(ratios);
  };
}

function samplesOf(series: readonly Series[], group: string, name: string, inFlight: number): readonly Sample[] {
  return series.find((one) => one.group === group && one.name === name && one.inFlight === inFlight)?.samples ?? [];
}
