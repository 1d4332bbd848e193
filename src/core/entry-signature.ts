import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from "node:crypto";
import { encodeEntry, type Entry } from "./entry";

/** Where an entry lies: a signature is good at one place only. */
export interface EntryPlace {
  readonly namespace: string;
  readonly group: string;
  readonly key: string;
}

/**
 * Characters of Base64: 128 of the 256 bits. RFC 2104, section 5, allows to cut to half of the hash and no shorter; nobody can
 * try signatures but by asking a process that misses each time.
 */
const LENGTH = 22;

/** Tells these signatures from whatever else is signed with the same secret. */
const PURPOSE = "typeorm-coherent entry 1";

/**
 * Signs entries with HMAC-SHA256, so that nobody who can write to the store, and does not know the secret, can make up an entry or put
 * one in another's place. What is signed: the namespace, the group (the table), the key, and the whole text of the entry, which is its
 * query, tokens, row tags, age and payload. The signature stands behind the payload, on a line of its own.
 *
 * @see https://www.rfc-editor.org/rfc/rfc2104
 */
export class EntrySignatures {
  private readonly secrets: readonly [KeyObject, ...KeyObject[]];

  /** @param secrets the first signs, all are good: that is how one is replaced by another */
  constructor([first, ...others]: readonly [string, ...string[]]) {
    const keyOf = (secret: string) => createSecretKey(secret, "utf8");
    this.secrets = [keyOf(first), ...others.map(keyOf)];
  }

  /** An encoded entry with its signature. */
  sign(place: EntryPlace, text: string): string {
    return `${text}\n${signatureOf(this.secrets[0], signedText(place, text))}`;
  }

  /**
   * The payload of an entry that was signed for this place.
   *
   * @param entry as it was decoded, with the signature behind its payload
   * @returns undefined if the signature is missing, or is none of ours
   */
  payloadOf(place: EntryPlace, entry: Entry): string | undefined {
    const end = entry.payload.length - LENGTH - 1;
    if (end < 0 || entry.payload[end] !== "\n") return undefined;
    const payload = entry.payload.slice(0, end);
    const given = Buffer.from(entry.payload.slice(end + 1));
    const text = signedText(place, encodeEntry({ ...entry, payload }));
    return this.secrets.some((secret) => isEqual(given, Buffer.from(signatureOf(secret, text)))) ? payload : undefined;
  }
}

/** No two places and entries have the same: each part but the last says how long it is. */
function signedText({ namespace, group, key }: EntryPlace, text: string): string {
  return `${PURPOSE}\n${namespace.length},${group.length},${key.length}\n${namespace}${group}${key}${text}`;
}

function signatureOf(secret: KeyObject, text: string): string {
  return createHmac("sha256", secret).update(text).digest("base64url").slice(0, LENGTH);
}

/** Takes equally long wherever the two differ. */
function isEqual(given: Buffer, own: Buffer): boolean {
  return given.length === own.length && timingSafeEqual(given, own);
}
