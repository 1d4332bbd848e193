import { Keys } from "./redis-keys";
import type { Spread } from "./spread";

/** Stands for the id of a server that is not there, or has not been taken over; no id is that short. */
const NOBODY = "-";

/** A key, and what it says about itself. */
export interface Address {
  /** The text between the braces. */
  readonly hashTag: string;
  /** Undefined if nobody could serve the part when the key was made. */
  readonly serverId: string | undefined;
}

/** The keys of all nodes: each names the server that served its part when it was made. */
export class ClusterKeys extends Keys {
  /** @param serverOf the id of the server that serves a part now; undefined if nobody does */
  constructor(
    namespace: string,
    spread: Spread,
    private readonly serverOf: (part: string) => string | undefined,
  ) {
    super(namespace, spread);
  }

  /** For whom a key is meant, so that it is sent to nobody else. */
  addressOf(key: string): Address {
    const begin = this.shared.length;
    const id = key.slice(begin, key.indexOf(":", begin));
    const brace = begin + id.length + 2;
    return { hashTag: key.slice(brace, key.indexOf("}", brace)), serverId: id === NOBODY ? undefined : id };
  }

  protected startOf(part: string): string {
    return `${this.shared}${this.serverOf(part) ?? NOBODY}:{${this.spread.hashTagOf(part)}}:`;
  }
}
