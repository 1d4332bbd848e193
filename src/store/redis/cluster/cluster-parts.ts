import { takeOverPart } from "./cluster-take-over";
import { slotOf } from "../key-slot";
import type { ServerSession } from "../redis-connection";
import { isElsewhere } from "../refusals";
import type { Spread } from "../spread";
import { Tenures } from "../tenures";

/** A part of a table that the store makes use of. */
export interface Part {
  readonly part: string;
  readonly slot: number;
}

/** What a session may serve, since it has taken it over, and what it is about to. */
interface Places {
  readonly taken: Set<string>;
  readonly beingTaken: Set<string>;
}

/** The parts of a store, and which of them each connection to a node may serve. */
export class ClusterParts {
  /** By the text between the braces of their keys. */
  private readonly known = new Map<string, Part>();
  private readonly tenures = new Tenures();
  private readonly places = new WeakMap<ServerSession, Places>();

  constructor(
    private readonly spread: Spread,
    /** What the client puts in front of every key. */
    private readonly keyPrefix: string,
    /** Milliseconds, as scripts take them. */
    private readonly lockTtl: string,
  ) {}

  /** @param onNew called if it was not known before */
  know(part: string, onNew: () => void = () => undefined): Part {
    const hashTag = this.spread.hashTagOf(part);
    const known = this.known.get(hashTag);
    if (known !== undefined) return known;
    const one = { part, slot: slotOf(hashTag) };
    this.known.set(hashTag, one);
    onNew();
    return one;
  }

  /** The part whose keys have this text between their braces. */
  at(hashTag: string): Part {
    return this.known.get(hashTag)!;
  }

  all(): readonly Part[] {
    return [...this.known.values()];
  }

  isTaken(session: ServerSession, part: string): boolean {
    return this.placesOf(session).taken.has(part);
  }

  /** It must be taken over anew. */
  forget(session: ServerSession, part: string): void {
    this.placesOf(session).taken.delete(part);
  }

  /** What is another node's now must be taken over anew when it comes back. */
  keep(session: ServerSession, parts: readonly string[]): void {
    const { taken } = this.placesOf(session);
    for (const part of taken) if (!parts.includes(part)) taken.delete(part);
  }

  /** Those that are still to be taken over. */
  open(session: ServerSession, parts: readonly string[]): string[] {
    const { taken, beingTaken } = this.placesOf(session);
    return parts.filter((part) => !taken.has(part) && !beingTaken.has(part));
  }

  /** Takes over what is open. Resolves although a part is on its way to another node. */
  async takeOver(session: ServerSession, parts: readonly string[]): Promise<void> {
    const { keyPrefix, lockTtl, tenures } = this;
    const { taken, beingTaken } = this.placesOf(session);
    await Promise.all(
      this.open(session, parts).map(async (part) => {
        beingTaken.add(part);
        try {
          await takeOverPart(session, { ...this.know(part), keyPrefix, lockTtl, tenures });
          taken.add(part);
        } catch (error) {
          if (!isElsewhere(error)) throw error;
        } finally {
          beingTaken.delete(part);
        }
      }),
    );
  }

  private placesOf(session: ServerSession): Places {
    const known = this.places.get(session) ?? { taken: new Set(), beingTaken: new Set() };
    this.places.set(session, known);
    return known;
  }
}
