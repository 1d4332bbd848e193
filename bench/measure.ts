/** One thing whose speed is measured. */
export interface BenchCase {
  readonly name: string;
  /** Heads the cases that are compared with each other. Default: none. */
  readonly group?: string;
  /** How many calls are in flight at once. Default: what `measure` is told. */
  readonly inFlight?: readonly number[];
  /** Does it once; `turn` grows by one with each call, whoever calls. */
  run(turn: number): Promise<unknown>;
}

/** Microseconds, and operations per second. */
export interface Sample {
  readonly p50: number;
  readonly p99: number;
  readonly throughput: number;
}

/** One case at one number of calls in flight, with a sample per round. */
export interface Series {
  readonly group: string;
  readonly name: string;
  readonly inFlight: number;
  readonly samples: Sample[];
}

export interface MeasureOptions {
  readonly inFlight: readonly number[];
  readonly rounds: number;
  /** Milliseconds per case, number in flight and round. */
  readonly time: number;
  readonly onRound?: (round: number) => void;
}

/** Series by which a round begins later than the one before. */
const STEP = 7;

/**
 * Measures all cases in each round, one after the other, so that whatever changes on the machine meanwhile changes for all. Every
 * round begins with another case, so that none always runs in the wake of the same one.
 */
export async function measure(cases: readonly BenchCase[], options: MeasureOptions): Promise<Series[]> {
  const series = cases.flatMap((one) =>
    (one.inFlight ?? options.inFlight).map((inFlight) => ({
      one,
      inFlight,
      group: one.group ?? "",
      name: one.name,
      samples: [] as Sample[],
    })),
  );
  // Warm-up: compiled code, filled pools, open connections.
  for (const { one, inFlight } of series) await sample(one, inFlight, options.time);
  for (let round = 0; round < options.rounds; round += 1) {
    options.onRound?.(round + 1);
    for (let index = 0; index < series.length; index += 1) {
      const { one, inFlight, samples } = series[(index + round * STEP) % series.length]!;
      samples.push(await sample(one, inFlight, options.time));
    }
  }
  return series.map(({ group, name, inFlight, samples }) => ({ group, name, inFlight, samples }));
}

let turn = 0;

async function sample(one: BenchCase, inFlight: number, time: number): Promise<Sample> {
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + time;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let now = performance.now(); now < end;) {
        await one.run(turn++);
        const after = performance.now();
        latencies.push(after - now);
        now = after;
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  latencies.sort((left, right) => left - right);
  const at = (share: number) => 1000 * (latencies[Math.floor(share * (latencies.length - 1))] ?? NaN);
  return { p50: at(0.5), p99: at(0.99), throughput: latencies.length / seconds };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? NaN : (low + high) / 2;
}

/** Milliseconds of one sample of {@link microsecondsOf}. */
const SHORT_SAMPLE = 4;

/** Microseconds of one call of something that waits for nothing. */
export function microsecondsOf(work: () => unknown): number {
  const start = performance.now();
  let calls = 0;
  let time = 0;
  while (time < SHORT_SAMPLE) {
    for (let call = 0; call < 10; call += 1) work();
    calls += 10;
    time = performance.now() - start;
  }
  return (1000 * time) / calls;
}
