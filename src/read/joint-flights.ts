import { setTimeout as delay } from "node:timers/promises";
import type { TokenSource } from "../core/token";
import type { ReadAnswer, Store } from "../store/store";
import type { Lookup } from "./filler";

/** What sharing loads with other processes needs of the cache around it. */
export interface JointFlightsOptions {
  readonly store: Pick<Store, "claim" | "release">;
  /** The entry as it is now; undefined if the store did not answer. */
  readonly ask: (lookup: Lookup) => Promise<ReadAnswer | undefined>;
  /** Runs a call of the store; undefined if the store failed. */
  readonly guarded: <Result>(operation: string, call: () => Promise<Result>) => Promise<Result | undefined>;
  readonly tokens: TokenSource;
  /** Milliseconds that a load is waited for. */
  readonly patience: number;
}

/** The right to load; who has it says when he is done. */
export interface Turn {
  readonly end: () => Promise<void>;
}

/** Milliseconds between two looks at whether another's load is over. */
const FIRST_LOOK = 4;
const LONGEST_WAIT = 50;

/**
 * Lets one process load what several miss, by a claim beside the entry. Nothing but the number of loads depends on the claim: who
 * waits gets an entry only if it is a hit like any other.
 */
export class JointFlights {
  constructor(private readonly options: JointFlightsOptions) {}

  /** The right to load, or undefined while somebody else has it. Who cannot know has it. */
  async claim({ key, group }: Lookup): Promise<Turn | undefined> {
    const { store, guarded, tokens, patience } = this.options;
    const flight = { key, group, holder: tokens(), ttl: patience };
    if (store.claim === undefined) return FREE;
    const claimed = await guarded("claim", async () => store.claim?.(flight));
    if (claimed === undefined) return FREE;
    return claimed ? { end: () => guarded("release", async () => store.release?.(flight)) } : undefined;
  }

  /** Waits for its turn, or for the entry that makes it needless. */
  async enter(lookup: Lookup): Promise<Turn | (ReadAnswer & { readonly outcome: "hit" })> {
    const end = performance.now() + this.options.patience;
    for (let wait = FIRST_LOOK; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      // In this order, and sent as one: whoever had the turn before may have filled the entry just now.
      const [turn, answer] = await Promise.all([this.claim(lookup), this.options.ask(lookup)]);
      if (answer?.outcome === "hit") {
        await turn?.end();
        return answer;
      }
      if (turn !== undefined) return turn;
      if (performance.now() > end) return FREE;
      await delay(wait);
    }
  }
}

const FREE: Turn = { end: () => Promise.resolve() };
