import type { BenchCase } from "../measure";

/** A case whose data sources and caches are only made if it is picked. */
export interface LazyCase extends Omit<BenchCase, "run"> {
  readonly open: () => Promise<BenchCase["run"]>;
}

/** All cases, ready to run. What waits for a server's first seconds waits together. */
export async function openAll(cases: readonly LazyCase[]): Promise<BenchCase[]> {
  const opening = cases.map(async ({ open, ...rest }) => ({ ...rest, run: await open() }));
  // If one fails, what the others open is there to be closed.
  await Promise.allSettled(opening);
  return Promise.all(opening);
}

/** The same result for all who ask, made when the first of them does. */
export function once<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let made: Promise<Result> | undefined;
  return () => (made ??= make());
}
