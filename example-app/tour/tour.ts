import { isDeepStrictEqual } from "node:util";
import type { InjectOptions } from "fastify";
import type { Shop } from "../shop/shop";
import { newTrace, outcomeOf, reasonOf, type Trace } from "../watch";
import type { OpenShop } from "../open-shop";
import { Figures } from "./figures";
import type { Report, Step } from "./report";

/** What a write is said to do. */
interface WriteClaims {
  /** Tags that must be among the invalidated ones; an empty list means that nothing is invalidated at all. */
  readonly invalidates: readonly string[];
  /** How many entries the new rows are put in. Default: any number. */
  readonly writesThrough?: number;
}

/** What a request is said to be answered with. */
interface RequestClaims {
  readonly status: number;
  /** The header x-cache. */
  readonly cache: "hit" | "miss" | "bypass";
  /** What the body must equal, read past the cache. Default: any body. */
  readonly body?: (shop: Shop) => Promise<unknown>;
}

type Expected = "hit" | "miss" | "mixed" | `bypass (${string})`;

/** Runs steps, checks that each does what it is said to do, and reports them. */
export class Tour {
  readonly figures = new Figures();
  readonly failures: string[] = [];
  steps = 0;

  constructor(
    readonly open: OpenShop,
    readonly report: Report,
  ) {}

  /** The same read through the cache and past it: the outcome must be as expected, the values deeply equal. */
  async read(label: string, expected: Expected, read: (shop: Shop) => Promise<unknown>): Promise<void> {
    const { served, trace, micros, plain, plainTrace, plainMicros } = await this.both(read);
    const outcome = describe(trace);
    const word = outcomeOf(trace);
    const problems = [
      ...(isAsExpected(trace, expected) ? [] : [`expected: ${expected}`]),
      ...(isDeepStrictEqual(served, plain) ? [] : [difference(served, plain)]),
    ];
    if (trace.reads.length === 1) this.figures.add(word, micros, plainMicros, plainTrace.statements.length);
    this.step({ label, word, outcome, micros, note: count(trace.statements), problems });
  }

  /**
   * As {@link read}, without a line of its own.
   *
   * @returns how the values differ, or undefined
   */
  async compare(read: (shop: Shop) => Promise<unknown>): Promise<string | undefined> {
    const { served, trace, micros, plain, plainTrace, plainMicros } = await this.both(read);
    this.figures.add(outcomeOf(trace), micros, plainMicros, plainTrace.statements.length);
    return isDeepStrictEqual(served, plain) ? undefined : difference(served, plain);
  }

  /** @param word how it is said to end: "committed", or "rolled back" for one that must throw */
  async write(
    label: string,
    word: "committed" | "rolled back",
    write: (shop: Shop) => Promise<unknown>,
    claims: WriteClaims,
  ): Promise<void> {
    const trace = newTrace();
    const start = performance.now();
    let error: Error | undefined;
    await this.open.watch.run(trace, () => write(this.open.shop)).catch((thrown: Error) => (error = thrown));
    const micros = (performance.now() - start) * 1000;
    const tags = new Set(trace.invalidated.flatMap((event) => [...event.tags]));
    const problems = [
      ...((error === undefined) === (word === "committed")
        ? []
        : [`expected: ${word}; ${error?.message ?? "it did not fail"}`]),
      ...claims.invalidates.filter((tag) => !tags.has(tag)).map((tag) => `expected to be invalidated: ${tag}`),
      ...(claims.invalidates.length > 0 || tags.size === 0 ? [] : ["expected: nothing is invalidated"]),
      ...(claims.writesThrough === undefined || claims.writesThrough === trace.writtenThrough.length
        ? []
        : [`expected: ${claims.writesThrough} entries written through, not ${trace.writtenThrough.length}`]),
    ];
    this.step({ label, word: "write", outcome: word, micros, note: "", problems });
    this.explainWrite(trace, [...tags], error);
  }

  /** A request to the API, without a network in between. */
  async request(options: InjectOptions & { url: string }, claims: RequestClaims): Promise<void> {
    const start = performance.now();
    const response = await this.open.api.inject(options);
    const micros = (performance.now() - start) * 1000;
    const cache = String(response.headers["x-cache"]);
    const detail = response.headers["x-cache-detail"];
    const body: unknown = response.json();
    const expected =
      claims.body === undefined ? body : (JSON.parse(JSON.stringify(await claims.body(this.open.plain))) as unknown);
    const problems = [
      ...(response.statusCode === claims.status ? [] : [`expected: status ${claims.status}; ${response.body}`]),
      ...(cache === claims.cache ? [] : [`expected: x-cache ${claims.cache}`]),
      ...(isDeepStrictEqual(body, expected) ? [] : [difference(body, expected)]),
    ];
    const label = `${options.method ?? "GET"} ${options.url}`;
    const word = cache as "hit" | "miss" | "bypass";
    const outcome = detail === undefined ? cache : `${cache} (${String(detail)})`;
    this.step({ label, word, outcome, micros, note: `status ${response.statusCode}`, problems });
    if (response.statusCode >= 400) this.report.detail("message", [String((body as { message?: unknown }).message)]);
  }

  /** A step that is neither a read nor a write. */
  check(claim: string, isTrue: boolean): void {
    this.steps += 1;
    if (!isTrue) this.failures.push(claim);
  }

  private explainWrite(trace: Trace, tags: readonly string[], error: Error | undefined): void {
    const { report } = this;
    report.detail("statements", [count(trace.statements)]);
    const inside = trace.reads.filter(({ outcome, why }) => outcome === "bypass" && why === "transaction").length;
    if (inside > 0) report.detail("reads inside", [`${inside}, past the cache`]);
    if (error !== undefined) report.detail("error", [error.message]);
    report.detail("invalidated", tags.length === 0 ? ["nothing"] : tags);
    if (tags.length > 0) report.detail("caused by", [trace.invalidated.map(({ cause }) => cause).join("; ")]);
    const written = trace.writtenThrough;
    if (written.length === 0) return;
    const entities = [...new Set(written.map(({ entity }) => entity))].join(", ");
    report.detail("written through", [
      `${written.length} ${written.length === 1 ? "entry" : "entries"} of ${entities}`,
    ]);
  }

  private step(step: Step): void {
    this.steps += 1;
    if (step.problems.length > 0) this.failures.push(step.label);
    this.report.step(step);
  }

  private async both(read: (shop: Shop) => Promise<unknown>) {
    const { watch, shop, plain: plainShop } = this.open;
    // A read that fails is a step that went wrong, not the end of the tour.
    const attempt = (from: Shop) => read(from).catch((error: unknown) => error);
    const trace = newTrace();
    let start = performance.now();
    const served = await watch.run(trace, () => attempt(shop));
    const micros = (performance.now() - start) * 1000;
    const plainTrace = newTrace();
    start = performance.now();
    const plain = await watch.run(plainTrace, () => attempt(plainShop));
    return { served, trace, micros, plain, plainTrace, plainMicros: (performance.now() - start) * 1000 };
  }
}

function isAsExpected(trace: Trace, expected: Expected): boolean {
  if (expected === "mixed") return trace.reads.some(({ outcome }) => outcome === "hit") && outcomeOf(trace) === "miss";
  if (expected === "hit" && trace.statements.length > 0) return false;
  return outcomeOf(trace) === expected || describe(trace) === expected;
}

function describe(trace: Trace): string {
  const reason = reasonOf(trace);
  return reason === "" ? outcomeOf(trace) : `${outcomeOf(trace)} (${reason})`;
}

/** "2 SELECT, 1 UPDATE"; what begins and ends transactions is left out. */
function count(statements: readonly string[]): string {
  const verbs = statements.map((sql) => /^\s*(SELECT|INSERT|UPDATE|DELETE)/i.exec(sql)?.[1]?.toUpperCase());
  const counts = ["SELECT", "INSERT", "UPDATE", "DELETE"]
    .map((verb) => [verbs.filter((one) => one === verb).length, verb] as const)
    .filter(([number]) => number > 0);
  return counts.map(([number, verb]) => `${number} ${verb}`).join(", ") || "no statement";
}

/** Both values from shortly before the first character that differs. */
function difference(served: unknown, plain: unknown): string {
  const [left, right] = [textOf(served), textOf(plain)];
  let at = 0;
  while (at < left.length && left[at] === right[at]) at += 1;
  const from = Math.max(0, at - 30);
  const excerpt = (text: string) => `${from > 0 ? "…" : ""}${text.slice(from, at + 30)}`;
  return `served ${excerpt(left)}, but the database has ${excerpt(right)}`;
}

function textOf(value: unknown): string {
  return value instanceof Error ? String(value) : (JSON.stringify(value) ?? "nothing");
}
