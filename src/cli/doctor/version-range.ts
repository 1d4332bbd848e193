/**
 * Whether a version is in a range of the forms that the package.json of this package has: `^1.2.3`, `^1.2`, `>=1.2` and several of them
 * with `||`. A version that is about to be, `1.2.3-beta.1`, counts as it will be.
 *
 * @throws RangeError for a range of another form
 */
export function isInRange(version: string, range: string): boolean {
  return range.split("||").some((part) => isInPart(numbers(version), part.trim()));
}

function isInPart(version: Numbers, part: string): boolean {
  const [, operator, text] = /^(\^|>=)(\d+(?:\.\d+){0,2})$/.exec(part) ?? [];
  if (operator === undefined || text === undefined) throw new RangeError(`Not a range that is understood: ${part}`);
  const least = numbers(text);
  if (compare(version, least) < 0) return false;
  if (operator === ">=") return true;
  // What stays is everything up to the first number that is not 0.
  const fixed = Math.max(
    0,
    least.findIndex((one) => one !== 0),
  );
  return version.slice(0, fixed + 1).every((one, at) => one === least[at]);
}

type Numbers = readonly [number, number, number];

function numbers(version: string): Numbers {
  const [major = 0, minor = 0, patch = 0] = version.split("-", 1)[0]!.split(".").map(Number);
  return [major, minor, patch];
}

function compare(a: Numbers, b: Numbers): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
