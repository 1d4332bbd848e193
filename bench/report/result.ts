import { median, type Sample, type Series } from "../measure";

/** What a run comes to, as `--json` writes it. Times are microseconds. */
export interface BenchResult {
  /** What it ran on, in one line. */
  readonly environment: string;
  readonly series: readonly SeriesMedians[];
  readonly tables: readonly Table[];
  readonly aims: readonly Verdict[];
}

/** One case at one number of calls in flight: the medians over the rounds. */
export interface SeriesMedians extends Sample {
  readonly group: string;
  readonly name: string;
  readonly inFlight: number;
}

/** What a part of the run found that is no case of its own. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Says below the table what it means. */
  readonly note?: string;
  /** Numbers that aims are set for. */
  readonly figures?: Readonly<Partial<Record<Figure, number>>>;
}

/** A number of a table that an aim is set for. */
export type Figure = "memory per row" | "allocation, RedisStore" | "allocation, near trust";

/** What became of an aim. */
export interface Verdict {
  readonly text: string;
  readonly measured: number;
  readonly bound: number;
  /** The measured value must be below the bound, or above it. */
  readonly side: "at most" | "at least";
  readonly met: boolean;
}

export function mediansOf({ group, name, inFlight, samples }: Series): SeriesMedians {
  const of = (measure: keyof Sample) => median(samples.map((sample) => sample[measure]));
  return { group, name, inFlight, p50: of("p50"), p99: of("p99"), throughput: of("throughput") };
}
