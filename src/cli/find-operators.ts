import { CacheConfigError } from "../errors";
import { typeorm } from "./needed";

/**
 * Find options out of JSON, where an object with one key `$In`, `$MoreThan`, `$Date` and so on stands for what TypeORM has under that
 * name: `{"$In":[1,2]}`, `{"$Between":[1,5]}`.
 *
 * @throws CacheConfigError CONFIG_INVALID for an operator that there is not
 */
export function withOperators(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withOperators);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as Record<string, unknown>);
  const [first] = entries;
  if (first?.[0].startsWith("$") === true && entries.length === 1) return operator(first[0].slice(1), first[1]);
  return Object.fromEntries(entries.map(([key, inner]) => [key, withOperators(inner)]));
}

/** Their arguments come as a list. */
const OF_SEVERAL = new Set(["And", "Between", "Or"]);

const OPERATORS = new Set([
  ...OF_SEVERAL,
  ...["Any", "ArrayContainedBy", "ArrayContains", "ArrayOverlap", "Equal", "ILike", "In", "IsNull", "LessThan"],
  ...["LessThanOrEqual", "Like", "MoreThan", "MoreThanOrEqual", "Not"],
]);

function operator(name: string, argument: unknown): unknown {
  if (name === "Date") return new Date(String(argument));
  const make = OPERATORS.has(name) ? typeorm()[name] : undefined;
  if (typeof make !== "function") {
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `There is no operator $${name}; there are $Date, $${[...OPERATORS].join(", $")}.`,
    );
  }
  const given = withOperators(argument);
  const args = OF_SEVERAL.has(name) && Array.isArray(given) ? (given as unknown[]) : name === "IsNull" ? [] : [given];
  return (make as (...args: unknown[]) => unknown)(...args);
}
