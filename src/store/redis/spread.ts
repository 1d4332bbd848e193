import { allStripes, stripeOf, tableGroupOf } from "../../core/stripe";
import { groupBy } from "../../core/group-by";
import { groupOf, type Tag } from "../../core/tag";
import { SLOTS, slotOf } from "./key-slot";

/** The channel of a namespace, as it is known to all; in a cluster the first of several. */
export function channelOf(namespace: string): string {
  return `${namespace}:changes`;
}

/**
 * Parts of each table in a cluster. It is no option: processes that disagree would not hear of each other's writes. So many nodes at most
 * share the work of one table; so many locks does a write take that does not know its rows.
 */
const PARTS = 16;

/** The parts of this lie where channels are heard; no table has such a name. */
const CHANNELS = "*changes";

/** A channel, and the part whose node hears what is sent over it. */
export interface PlacedChannel {
  readonly channel: string;
  readonly part: string;
}

/** Whether a part is one of channels, and none of a table. */
export function isOfChannels(part: string): boolean {
  return tableGroupOf(part) === CHANNELS;
}

/** Where things lie: the part of a table is a group with its stripe (core/stripe.ts), and has a guard and a slot of its own. */
export class Spread {
  private readonly hashTags = new Map<string, string>();

  private constructor(readonly stripes: number) {}

  /** On one server, where tables are whole. */
  static readonly whole = new Spread(1);

  /** Over the servers of a cluster. */
  static overCluster(): Spread {
    return new Spread(PARTS);
  }

  /** The part in which a tag is. */
  partOf(tag: Tag): string {
    const group = groupOf(tag);
    if (this.stripes === 1 || group.includes("^")) return group;
    if (isStriped(tag))
      throw new Error(
        `The tag ${tag} is in each part of its table, and no part was named. A store in front of this one must hand on its \`stripes\`.`,
      );
    return group + stripeOf(tag, this.stripes);
  }

  /** All parts of a table. */
  partsOf(group: string): readonly string[] {
    return allStripes(this.stripes).map((stripe) => group + stripe);
  }

  /** What a writer touches who names these tags, by part, each once. */
  touchedBy(tags: Iterable<Tag>): Map<string, Tag[]> {
    return this.byPart(this.stripes === 1 ? tags : Array.from(tags).flatMap((tag) => this.stripesOf(tag)));
  }

  /** Tags by part, each once. */
  byPart(tags: Iterable<Tag>): Map<string, Tag[]> {
    return groupBy(new Set(tags), (tag) => this.partOf(tag));
  }

  /**
   * The text between the braces of all keys of a part. In a cluster the parts of a table are as far from each other as can be: mostly each
   * node has neighbouring slots, and gets its share.
   */
  hashTagOf(part: string): string {
    if (this.stripes === 1) return part;
    const known = this.hashTags.get(part) ?? hashTagInRange(part, this.stripes);
    this.hashTags.set(part, known);
    return known;
  }

  /**
   * The channels of a namespace. In a cluster each process sends over one of several, and hears them all: to tell a thousand processes of each
   * write would be too much for one node. Programs that are no part of this send over the first, whose name they know.
   */
  channels(namespace: string): readonly [PlacedChannel, ...PlacedChannel[]] {
    const channel = channelOf(namespace);
    const [first = "", ...others] = this.partsOf(CHANNELS);
    const rest = others.map((part) => ({ channel: channel + part.slice(CHANNELS.length), part }));
    return [{ channel, part: first }, ...rest];
  }

  private stripesOf(tag: Tag): readonly Tag[] {
    const group = groupOf(tag);
    if (!isStriped(tag) || group.includes("^")) return [tag];
    const rest = tag.slice(group.length);
    return this.partsOf(group).map((part) => part + rest);
  }
}

/** Epochs and barriers. */
function isStriped(tag: Tag): boolean {
  return tag.endsWith("|") || tag.endsWith("|~");
}

/** The first of many texts whose slot is in the range of the stripe; what is no part of a table lies anywhere. */
function hashTagInRange(part: string, stripes: number): string {
  const stripe = Number(part.slice(part.indexOf("^") + 1));
  if (!part.includes("^")) return part;
  const width = SLOTS / stripes;
  for (let salt = 0; ; salt += 1) {
    const text = `${part}.${salt}`;
    if (Math.floor(slotOf(text) / width) === stripe) return text;
  }
}
