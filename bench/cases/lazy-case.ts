import type { BenchCase } from "../measure";

/** A case whose data sources and caches are only made if it is picked. */
export interface LazyCase extends Omit<BenchCase, "run"> {
  readonly open: () => Promise<BenchCase["run"]>;
}

/**
 * All cases, ready to run. One is opened after the other: filling a database keeps the event loop busy for so long that what others
 * wait for would come too late.
 *
 * @param fail hears of those that could not be opened; the others run without them
 */
export async function openAll(
  cases: readonly LazyCase[],
  fail: (name: string, error: unknown) => void,
): Promise<BenchCase[]> {
  const opened: BenchCase[] = [];
  for (const { open, ...rest } of cases) {
    try {
      opened.push({ ...rest, run: await open() });
    } catch (error) {
      fail(rest.name, error);
    }
  }
  return opened;
}

/** The same result for all who ask, made when the first of them does. */
export function once<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let made: Promise<Result> | undefined;
  return () => (made ??= make());
}
