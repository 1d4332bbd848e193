import type { DataSource } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata";

/**
 * A value as the database has it, as a text that is equal for any two values that the database calls equal; undefined
 * where that cannot be said, so that the caller goes coarser. Too coarse costs misses, too fine would be a lie.
 */
export type Canonical = (value: unknown) => string | undefined;

/** How a database compares the texts of a column. */
type TextEquality = "folded" | "ascii-folded";

const INTEGERS = /^(?:(?:tiny|small|medium|big)?int(?:eger)?|int[248]|unsigned big int|(?:small|big)?serial)$/;
const TEXTS =
  /^(?:(?:tiny|medium|long)?text|(?:national |native |n)?(?:var)?char(?:acter)?2?|character varying|varying character|native character|string|citext|name|clob|(?:simple-)?enum)$/;
const UUID = /^[0-9a-f]{32}$/;
const INTEGER = /^-?(?:0|[1-9]\d*)$/;
/** Printable ASCII without the characters that some collations ignore: none of these equals a text with others in it. */
const PLAIN = /^[\x20-\x7e]*$/;

/**
 * Whether any two values with one canonical text are taken alike by every driver: `1` and `"1"` are one key, `true` and `1`
 * too. Not so a bigint, which some drivers do not understand, nor the many spellings of a uuid.
 */
export function isExact(canonical: Canonical, value: unknown): boolean {
  return (canonical === integer && typeof value !== "bigint") || canonical === boolean;
}

/** The canonical form of a column's values, or one that never answers where equality is not what JavaScript can tell. */
export function canonicalOf(column: ColumnMetadata, dataSource: DataSource): Canonical {
  const type = dataSource.driver.normalizeType(column).toLowerCase();
  // MySQL has no boolean of its own, and TypeORM calls it tinyint.
  if (column.type === Boolean || column.type === "boolean" || column.type === "bool") return boolean;
  if (INTEGERS.test(type)) return integer;
  if (type === "uuid") return uuid;
  if (TEXTS.test(type)) return text(textEquality(column, dataSource, type));
  return () => undefined;
}

function integer(value: unknown): string | undefined {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value === 0 ? 0 : value) : undefined;
  return typeof value === "string" && INTEGER.test(value) && value !== "-0" ? value : undefined;
}

function boolean(value: unknown): string | undefined {
  if (value === true || value === 1) return "1";
  return value === false || value === 0 ? "0" : undefined;
}

/** PostgreSQL and MariaDB accept upper case and missing hyphens for the same uuid, PostgreSQL braces too. */
function uuid(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const digits = value.replace(/[{}-]/g, "").toLowerCase();
  return UUID.test(digits) ? digits : undefined;
}

/**
 * Case and trailing spaces are folded even where the database tells them apart: the entity may not say what the table
 * was really made with (NOCASE, RTRIM, citext, char(n)), and a shared tag costs a miss at most.
 */
function text(equality: TextEquality): Canonical {
  return (value) => {
    if (typeof value !== "string") return undefined;
    if (equality === "ascii-folded" && !PLAIN.test(value)) return undefined;
    return value.replace(/ +$/, "").normalize("NFC").toLowerCase();
  };
}

/**
 * MySQL's and MariaDB's default collations, and whatever collation an entity names, may ignore accents or whole
 * characters: only plain ASCII is sure to equal nothing but itself and its other case.
 */
function textEquality(column: ColumnMetadata, dataSource: DataSource, type: string): TextEquality {
  const exact = dataSource.options.type === "postgres" || /sqlite/.test(dataSource.options.type);
  return exact && column.collation === undefined && type !== "citext" ? "folded" : "ascii-folded";
}
