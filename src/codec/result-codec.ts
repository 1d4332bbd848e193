import { decodeRaw, encodeRaw, UnencodableValue } from "./raw-value";
import type { RawRow } from "./row-codec";

/**
 * The rows of any statement as a payload: the names of the columns once, then the values of each row.
 *
 * @throws UnencodableValue if a value would not come back exactly, or the rows differ in their columns
 */
export function encodeResult(rows: readonly RawRow[]): string {
  const names = Object.keys(rows[0] ?? {});
  const values = rows.map((row) => {
    const own = Object.keys(row);
    if (own.length !== names.length || own.some((name, at) => name !== names[at])) {
      throw new UnencodableValue("The rows differ in their columns.");
    }
    return names.map((name) => encodeRaw(row[name]));
  });
  return JSON.stringify([names, values]);
}

/**
 * New rows, equal to those that {@link encodeResult} was given.
 *
 * @throws if the payload is not one of its
 */
export function decodeResult(payload: string): RawRow[] {
  const [names, rows] = JSON.parse(payload) as [readonly string[], readonly (readonly unknown[])[]];
  return rows.map((values) => {
    if (values.length !== names.length) throw new UnencodableValue("The payload is not a list of rows.");
    return Object.fromEntries(names.map((name, at) => [name, decodeRaw(values[at])]));
  });
}
