import { epochTag, groupOf, isFine, type Tag } from "./tag";

/**
 * A store of many servers keeps a table in several parts, so that one that is read a lot is not the work of one server alone. What names
 * single rows or values lies in one part, chosen by its name. The epoch and the barrier, on which all entries of the table
 * depend, are in each part, one stripe of them: an entry depends on one stripe, and whoever writes without knowing which rows touches
 * them all. A stripe is named by what follows the group: `<table>^<number>|`. No group has a `^` of its own.
 *
 * "" where tables are whole.
 */
export type Stripe = string;

/** Where an entry lies and what it depends on, in a store that cuts tables up. */
export interface Placed {
  /** The group, with its stripe. */
  readonly group: string;
  readonly tags: readonly Tag[];
  readonly stripe: Stripe;
}

/** The stripe that a name belongs to. */
export function stripeOf(name: string, stripes: number): Stripe {
  return stripes === 1 ? "" : `^${hashOf(name) % stripes}`;
}

/** All stripes of a table. */
export function allStripes(stripes: number): readonly Stripe[] {
  return stripes === 1 ? [""] : Array.from({ length: stripes }, (_, at) => `^${at}`);
}

/**
 * Places an entry where the row or value is that it is looked up by, so that one server knows all of a hit.
 *
 * @param tags what the query names
 * @param stripes in how many parts the store cuts each table
 */
export function placed(group: string, key: string, tags: readonly Tag[], stripes: number): Placed {
  if (stripes === 1) return { group, tags, stripe: "" };
  const stripe = stripeOf(tags.find(isFine) ?? key, stripes);
  const own = tags.map((tag) => (tag.endsWith("|") ? epochTag(groupOf(tag) + stripe) : tag));
  return { group: group + stripe, tags: own, stripe };
}

/** The group without its stripe. */
export function tableGroupOf(group: string): string {
  const end = group.indexOf("^");
  return end < 0 ? group : group.slice(0, end);
}

/** The tag by which whoever writes knows what an entry depends on. */
export function unstriped(tag: Tag): Tag {
  const end = tag.endsWith("|") ? tag.indexOf("^") : -1;
  return end < 0 ? tag : epochTag(tag.slice(0, end));
}

/**
 * FNV-1a over UTF-16 units, and a last mixing, since the low bits alone choose. All processes must agree on it.
 *
 * @see http://www.isthe.com/chongo/tech/comp/fnv/, and the finalizer of MurmurHash3
 */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
