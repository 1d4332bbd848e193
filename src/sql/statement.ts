import { LRUCache } from "lru-cache";
import { rowTarget, type RowTarget } from "./row-target";
import { tokenize, type Dialect, type SqlToken } from "./tokenizer";

/** What a statement does to transactions. */
export type Control = "begin" | "commit" | "rollback" | "savepoint" | "release" | "rollback-to";

/** What one statement does, as far as a cache must know. */
export type SqlStatement =
  | { readonly kind: "read" }
  | {
      readonly kind: "control";
      readonly control: Control;
      /** Of the savepoint, in lower case. */
      readonly name: string;
      /** COMMIT AND CHAIN: the next transaction begins at once. */
      readonly chain: boolean;
    }
  | {
      readonly kind: "write";
      /** Every name that stands in it, in lower case: the tables that it writes are among them. Unknown: it may write any. */
      readonly names: ReadonlySet<string> | "unknown";
      /** The rows that it writes, where the text alone says so. */
      readonly target: RowTarget | undefined;
      /** It ends a running transaction with a COMMIT, as MySQL's DDL does. */
      readonly commits: boolean;
    };

/** All statements of one text, in order. */
export interface SqlAnalysis {
  readonly statements: readonly SqlStatement[];
  /** Nothing here changes a row or a transaction. */
  readonly harmless: boolean;
}

const WRITES = new Set(
  "insert replace update delete merge truncate alter drop create rename copy load refresh".split(" "),
);
const HARMLESS = new Set(
  (
    "select values table show pragma set use analyze vacuum listen notify unlisten discard reset lock unlock grant revoke " +
    "comment attach detach reindex checkpoint kill flush describe desc deallocate close fetch move optimize cluster prepare help"
  ).split(" "),
);
const COMMITTING = new Set("truncate alter drop create rename lock unlock grant revoke analyze optimize".split(" "));
const WIDE = new Set("schema database owned tablespace cascade".split(" "));
const DML = new Set(["insert", "update", "delete", "merge"]);
const UNKNOWN: SqlStatement = { kind: "write", names: "unknown", target: undefined, commits: true };
const READ: SqlStatement = { kind: "read" };
const HARMLESS_TEXT: SqlAnalysis = { statements: [READ], harmless: true };

/** Reads SQL texts and remembers what it read; applications repeat few texts very often. */
export class SqlAnalyzer {
  private readonly known = new LRUCache<string, SqlAnalysis>({ max: 2000 });

  constructor(readonly dialect: Dialect) {}

  analyze(sql: string): SqlAnalysis {
    // Nearly every text is this; anything that could hide a second statement takes the long way.
    if (/^\s*select\b/i.test(sql) && !sql.includes(";")) return HARMLESS_TEXT;
    const known = this.known.get(sql);
    if (known !== undefined) return known;
    const analysis = analyzeText(sql, this.dialect);
    if (sql.length <= 20_000) this.known.set(sql, analysis);
    return analysis;
  }
}

function analyzeText(sql: string, dialect: Dialect): SqlAnalysis {
  const tokens = tokenize(sql, dialect);
  const statements = tokens === undefined ? [UNKNOWN] : split(tokens).map((part) => analyzeOne(part, dialect));
  return { statements, harmless: statements.every(({ kind }) => kind === "read") };
}

function split(tokens: readonly SqlToken[]): SqlToken[][] {
  const parts: SqlToken[][] = [[]];
  for (const token of tokens) {
    if (token.kind === "symbol" && token.text === ";") parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter((part) => part.length > 0);
}

function analyzeOne(tokens: readonly SqlToken[], dialect: Dialect): SqlStatement {
  const first = word(tokens, 0);
  const control = controlOf(tokens, dialect);
  if (control !== undefined) return control;
  if (first === "with" || first === "explain" || first === "") {
    // A name may be spelt like a keyword here: then this is merely too careful.
    const writes = tokens.some(
      (token, index) => DML.has(token.text) && token.kind === "word" && !isLockingRead(tokens, index),
    );
    return writes ? writeOf(tokens, dialect, false) : READ;
  }
  if (WRITES.has(first)) return writeOf(tokens, dialect, COMMITTING.has(first));
  if (!HARMLESS.has(first)) return UNKNOWN;
  return dialect === "mysql" && COMMITTING.has(first)
    ? { kind: "write", names: new Set(), target: undefined, commits: true }
    : READ;
}

/** SELECT … FOR UPDATE, FOR NO KEY UPDATE. */
function isLockingRead(tokens: readonly SqlToken[], index: number): boolean {
  return word(tokens, index - 1) === "for" || word(tokens, index - 1) === "key";
}

function writeOf(tokens: readonly SqlToken[], dialect: Dialect, ddl: boolean): SqlStatement {
  const words = tokens.filter((token) => token.kind === "word");
  if ((ddl || word(tokens, 0) === "truncate") && words.some(({ text }) => WIDE.has(text))) return UNKNOWN;
  // SQLite takes a text in single quotes for a name where a name is due.
  const naming = tokens.filter(
    ({ kind }) => kind === "word" || kind === "quoted" || (kind === "string" && dialect === "sqlite"),
  );
  return {
    kind: "write",
    names: new Set(naming.map(({ text }) => text.toLowerCase())),
    target: rowTarget(tokens),
    commits: ddl && dialect === "mysql",
  };
}

function controlOf(tokens: readonly SqlToken[], dialect: Dialect): SqlStatement | undefined {
  const [first, second] = [word(tokens, 0), word(tokens, 1)];
  const chain = tokens.some(({ text }, index) => text === "chain" && word(tokens, index - 1) === "and");
  const control = (kind: Control, name = ""): SqlStatement => ({ kind: "control", control: kind, name, chain });
  switch (first) {
    case "begin":
      return control("begin");
    case "start":
      return second === "transaction" ? control("begin") : undefined;
    case "commit":
      return second === "prepared" ? UNKNOWN : control("commit");
    case "end":
      return control("commit");
    case "prepare":
      return second === "transaction" && dialect === "postgres" ? control("commit") : undefined;
    case "abort":
      return control("rollback");
    case "savepoint":
      return control("savepoint", last(tokens));
    case "release":
      return control("release", last(tokens));
    case "rollback":
      if (second === "prepared") return READ;
      return tokens.some((token) => token.kind === "word" && token.text === "to")
        ? control("rollback-to", last(tokens))
        : control("rollback");
    default:
      return undefined;
  }
}

function word(tokens: readonly SqlToken[], index: number): string {
  const token = tokens[index];
  return token?.kind === "word" ? token.text : "";
}

function last(tokens: readonly SqlToken[]): string {
  return tokens.at(-1)?.text.toLowerCase() ?? "";
}
