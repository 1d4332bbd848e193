/** A value of a row that cannot be stored so that exactly the same comes back; the row is then not cached. */
export class UnencodableValue extends Error {}

/**
 * Lists and objects inside of each other. JSON.stringify and whoever walks over a value use a stack that a document of some thousand
 * levels overflows, and the read would fail that TypeORM alone carries out.
 */
const DEEPEST = 500;

/**
 * A value as a driver returns it, as JSON: what JSON keeps exactly stays as it is, everything else becomes a pair of a
 * letter and a text or list. Rows are stored before TypeORM's hydration, so that transformers run on a hit as on a load.
 */
export function encodeRaw(value: unknown): unknown {
  return encodeAt(value, 0);
}

function encodeAt(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : ["f", Object.is(value, -0) ? "-0" : String(value)];
    case "bigint":
      return ["n", value.toString()];
    case "object":
      return value === null ? null : encodeObject(value, depth);
    default:
      throw new UnencodableValue(`A ${typeof value} came from the driver.`);
  }
}

/** The value that {@link encodeRaw} was given; a new object each time. */
export function decodeRaw(encoded: unknown): unknown {
  if (!Array.isArray(encoded)) return encoded;
  const [kind, content] = encoded as [string, unknown];
  switch (kind) {
    case "d":
      return new Date(content === null ? NaN : Number(content));
    case "b":
      return Buffer.from(String(content), "base64");
    case "n":
      return BigInt(String(content));
    case "f":
      return Number(content);
    case "j":
      return content;
    case "a":
      return (content as unknown[]).map(decodeRaw);
    case "o":
      return Object.fromEntries((content as [string, unknown][]).map(([name, one]) => [name, decodeRaw(one)]));
    default:
      throw new UnencodableValue(`"${kind}" is no kind of value.`);
  }
}

function encodeObject(value: object, depth: number): unknown {
  if (depth > DEEPEST) throw new UnencodableValue("A value is nested too deeply, or in itself.");
  if (isPlainDate(value)) return ["d", Number.isNaN(value.getTime()) ? null : value.getTime()];
  if (Buffer.isBuffer(value)) return ["b", value.toString("base64")];
  if (isPureJson(value, depth)) return ["j", value];
  if (isDense(value)) return ["a", value.map((one) => encodeAt(one, depth + 1))];
  if (isPlain(value)) return ["o", Object.entries(value).map(([name, one]) => [name, encodeAt(one, depth + 1)])];
  throw new UnencodableValue(`An object of class ${value.constructor?.name ?? "?"} came from the driver.`);
}

/** What JSON.parse(JSON.stringify(value)) gives back unchanged. */
function isPureJson(value: unknown, depth: number): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  if (typeof value !== "object" || depth > DEEPEST) return false;
  const isPure = (one: unknown) => isPureJson(one, depth + 1);
  if (Array.isArray(value)) return isDense(value) && value.every(isPure);
  return isPlain(value) && Object.values(value).every(isPure);
}

/** Made of nothing but its properties. */
function isPlain(value: object): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype || Object.getOwnPropertySymbols(value).length > 0) return false;
  return !("toJSON" in value && typeof value.toJSON === "function");
}

/** Of no class of its own: an instance of that would not come back. */
function isPlainDate(value: object): value is Date {
  return value instanceof Date && Object.getPrototypeOf(value) === Date.prototype;
}

/** Without holes, and without properties besides its items. */
function isDense(value: unknown): value is unknown[] {
  if (!Array.isArray(value) || Object.keys(value).length !== value.length) return false;
  for (let index = 0; index < value.length; index += 1) if (!(index in value)) return false;
  return true;
}
