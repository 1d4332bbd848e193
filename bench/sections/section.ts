import type { Places } from "../places";
import type { Table } from "../report/result";

/** A part of the run that is more than cases side by side. */
export interface Section {
  /** What `--only` picks it by. */
  readonly name: string;
  readonly run: (context: SectionContext) => Promise<Table>;
}

/** What the command line says, and where things run. */
export interface SectionContext {
  /** Places of its own, which it closes; {@link inPlaces} does. */
  readonly emptyPlaces: () => Places;
  readonly rounds: number;
  /** Milliseconds per case and round. */
  readonly time: number;
  readonly quick: boolean;
  /** So many rows are put into the cache at most. */
  readonly most: number;
}

/** Runs work with places of its own. */
export async function inPlaces<Result>(
  { emptyPlaces }: SectionContext,
  work: (places: Places) => Promise<Result>,
): Promise<Result> {
  const places = emptyPlaces();
  try {
    const result = await work(places);
    for (const complaint of places.complaints()) process.stderr.write(`${complaint}\n`);
    return result;
  } finally {
    await places.close();
  }
}
