import { encodeEntry, type Entry } from "../core/entry";
import type { EntitySettings } from "../metadata/entity-settings";
import type { PayloadPacking } from "./payload-packing";

/**
 * An entry as it is stored: packed if it is large, and with its age if it may be served although it is stale.
 *
 * @param filledAt before which moment the result was not read, on the wall clock
 * @returns undefined if it takes more bytes than may be
 */
export function storedEntry(
  entry: Omit<Entry, "filledAt">,
  filledAt: number,
  { staleWhileRevalidate, maxEntryBytes }: Pick<EntitySettings, "staleWhileRevalidate" | "maxEntryBytes">,
  packing: PayloadPacking,
): string | undefined {
  const dated = staleWhileRevalidate === undefined ? {} : { filledAt };
  const value = encodeEntry({ ...entry, payload: packing.pack(entry.payload), ...dated });
  return isLonger(value, maxEntryBytes) ? undefined : value;
}

/** Whether a text takes more bytes than this, in the encoding of the store. */
function isLonger(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length * 3 > bytes && Buffer.byteLength(text) > bytes);
}
