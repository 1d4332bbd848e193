import { NAMES } from "./cases";
import { median, type Sample, type Series } from "./measure";

/** A ratio that we aim for. */
interface Aim {
  readonly text: string;
  readonly ours: string;
  readonly peer: string;
  readonly inFlight: number;
  readonly measure: keyof Sample;
  /** At most for latencies, at least for throughput. */
  readonly bound: number;
}

const latency = (ours: string, peer: string, inFlight: number, bound: number): Aim => ({
  text: `p50: ${ours} / ${peer}`,
  ours,
  peer,
  inFlight,
  measure: "p50",
  bound,
});

const AIMS: readonly Aim[] = [
  ...[NAMES.mget, NAMES.pipelinedMget].flatMap((peer) =>
    [1, 64].map((inFlight) => latency(NAMES.redisHit, peer, inFlight, 1.3)),
  ),
  {
    text: `throughput: ${NAMES.redisHit} / ${NAMES.typeormCache}`,
    ours: NAMES.redisHit,
    peer: NAMES.typeormCache,
    inFlight: 64,
    measure: "throughput",
    bound: 3,
  },
  ...[1, 64].flatMap((inFlight) => [
    latency(NAMES.saveInvalidate, NAMES.save, inFlight, 1.35),
    latency(NAMES.saveWriteThrough, NAMES.save, inFlight, 1.35),
  ]),
];

/** The table of all cases. */
export function table(series: readonly Series[]): string {
  const inFlight = [...new Set(series.map((one) => one.inFlight))];
  const names = [...new Set(series.map(({ name }) => name))];
  const width = Math.max(...names.map((name) => name.length));
  const column = inFlight.map((count) => `${`${count} in flight`.padStart(12)}: p50       p99       ops/s`);
  const rows = names.map((name) => {
    const cells = inFlight.map((count) => {
      const samples = series.find((one) => one.name === name && one.inFlight === count)?.samples ?? [];
      const of = (measure: keyof Sample) => median(samples.map((sample) => sample[measure]));
      return `${micros(of("p50"))}${micros(of("p99"))}${String(Math.round(of("throughput"))).padStart(12)}`.padStart(
        41,
      );
    });
    return name.padEnd(width) + cells.join("");
  });
  return [" ".repeat(width) + column.map((text) => text.padStart(41)).join(""), ...rows].join("\n");
}

/** The aims, and whether they are met. A ratio is taken within each round, since both ran close together there. */
export function aims(series: readonly Series[]): string {
  const lines = AIMS.flatMap((aim) => {
    const samplesOf = (name: string) =>
      series.find((one) => one.name === name && one.inFlight === aim.inFlight)?.samples ?? [];
    const peers = samplesOf(aim.peer);
    const ratios = samplesOf(aim.ours).map((ours, round) => ours[aim.measure] / (peers[round]?.[aim.measure] ?? NaN));
    if (ratios.length === 0) return [];
    const ratio = median(ratios);
    const isMost = aim.measure !== "throughput";
    const met = isMost ? ratio <= aim.bound : ratio >= aim.bound;
    const bound = `${isMost ? "at most" : "at least"} ${aim.bound}`;
    return [[aim.text, `${aim.inFlight} in flight`, ratio.toFixed(2), bound, met ? "met" : "MISSED"]];
  });
  const widths = [0, 1, 2, 3].map((at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines.map((line) => line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ")).join("\n");
}

function micros(value: number): string {
  return `${value < 100 ? value.toFixed(1) : value.toFixed(0)} µs`.padStart(11);
}
