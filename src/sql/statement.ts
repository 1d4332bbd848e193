import { LRUCache } from "lru-cache";
import { calledRoutines, callsOnlyDeclared, mentions, type Routines } from "./routines";
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

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

const WRITES = words("insert replace update delete merge truncate alter drop create rename copy load refresh");
const HARMLESS = words(
  "select values table show pragma set use vacuum listen notify unlisten discard reset lock unlock grant revoke comment " +
    "attach detach reindex checkpoint kill flush deallocate close declare fetch move optimize cluster prepare help",
);
/** These read, unless a statement that writes stands in them: MariaDB runs what it analyzes, PostgreSQL what it explains. */
const WRAPPERS = words("with explain describe desc analyze");
/** MySQL commits before these. */
const COMMITTING = words("truncate alter drop create rename lock unlock grant revoke analyze optimize flush reset");
const WIDE = words("schema database owned tablespace cascade");
/** With one of these in its text, CREATE holds statements that it does not run. */
const ROUTINES = words("trigger function procedure event rule package");
const DML = words("insert update delete merge replace");
const UNKNOWN = { kind: "write", names: "unknown", target: undefined, commits: true } as const satisfies SqlStatement;
const READ: SqlStatement = { kind: "read" };
const HARMLESS_TEXT: SqlAnalysis = { statements: [READ], harmless: true };

/** Reads SQL texts and remembers what it read; applications repeat few texts very often. */
export class SqlAnalyzer {
  private readonly known = new LRUCache<string, SqlAnalysis>({ max: 2000 });
  private routines: Routines = new Map();
  private mentionsRoutine = mentions(this.routines);

  constructor(readonly dialect: Dialect) {}

  /** Says what stored routines write; without that a CALL may write anything, and a function that is selected nothing. */
  declare(routines: Routines): void {
    this.routines = routines;
    this.mentionsRoutine = mentions(routines);
    this.known.clear();
  }

  analyze(sql: string): SqlAnalysis {
    // Nearly every text is this; anything that could hide a second statement takes the long way.
    if (/^\s*select\b/i.test(sql) && !sql.includes(";") && !this.mentionsRoutine(sql)) return HARMLESS_TEXT;
    const known = this.known.get(sql);
    if (known !== undefined) return known;
    const analysis = analyzeText(sql, this.dialect, this.routines);
    if (sql.length <= 20_000) this.known.set(sql, analysis);
    return analysis;
  }
}

function analyzeText(sql: string, dialect: Dialect, routines: Routines): SqlAnalysis {
  const parts = split(tokenize(sql, dialect));
  // The semicolons of a routine end none of our statements.
  const understood = parts !== undefined && !parts.some(definesRoutine);
  const statements = understood
    ? parts.map((part) => withRoutines(part, analyzeOne(part, dialect), routines))
    : [UNKNOWN];
  return { statements, harmless: statements.every(({ kind }) => kind === "read") };
}

function definesRoutine(tokens: readonly SqlToken[]): boolean {
  const first = word(tokens, 0);
  return (
    (first === "create" || first === "alter") && tokens.some(({ kind, text }) => kind === "word" && ROUTINES.has(text))
  );
}

function split(tokens: readonly SqlToken[] | undefined): SqlToken[][] | undefined {
  if (tokens === undefined) return undefined;
  const parts: SqlToken[][] = [[]];
  for (const token of tokens) {
    if (token.kind === "symbol" && token.text === ";") parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter((part) => part.length > 0);
}

/** What a statement does, the routines included that it calls and that are declared. */
function withRoutines(tokens: readonly SqlToken[], statement: SqlStatement, routines: Routines): SqlStatement {
  const called = calledRoutines(tokens, routines);
  if (called.length === 0 || statement.kind === "control") return statement;
  const tables = called.flatMap((name) => [...(routines.get(name) ?? [])]);
  if (statement.kind === "read") {
    return { kind: "write", names: new Set(tables), target: undefined, commits: false };
  }
  if (statement.names !== "unknown") {
    return { ...statement, names: new Set([...statement.names, ...tables]), target: undefined };
  }
  const first = word(tokens, 0);
  // A procedure may COMMIT; arguments of DO and CALL may be calls too.
  const isKnown = (first === "call" || first === "do") && callsOnlyDeclared(tokens, routines);
  return isKnown ? { ...UNKNOWN, names: new Set(tables) } : statement;
}

function analyzeOne(tokens: readonly SqlToken[], dialect: Dialect): SqlStatement {
  const control = controlOf(tokens, dialect);
  if (control !== undefined) return control;
  const first = word(tokens, 0);
  const commits = dialect === "mysql" && COMMITTING.has(first);
  if (WRAPPERS.has(first) || isSymbol(tokens[0], "(")) {
    if (tokens.some(({ kind, text }) => kind === "word" && text === "execute")) return UNKNOWN;
    // A name may be spelt like a keyword here: then this is merely too careful.
    if (tokens.some((_, index) => isWriteAt(tokens, index))) return writeOf(tokens, dialect, commits);
  } else if (WRITES.has(first)) return writeOf(tokens, dialect, commits);
  else if (!HARMLESS.has(first) || (dialect === "mysql" && first === "set" && isMoreThanSet(tokens))) return UNKNOWN;
  return commits ? { kind: "write", names: new Set(), target: undefined, commits } : READ;
}

/** Not: SELECT … FOR UPDATE, FOR NO KEY UPDATE, and the function replace(). CYCLE … USING key UPDATE … does write. */
function isWriteAt(tokens: readonly SqlToken[], index: number): boolean {
  const text = word(tokens, index);
  if (!DML.has(text)) return false;
  if (text === "replace") return !isSymbol(tokens[index + 1], "(");
  const before = word(tokens, index - 1);
  return text !== "update" || (before !== "for" && (before !== "key" || word(tokens, index - 2) !== "no"));
}

/** MariaDB's SET STATEMENT … FOR runs a statement, and with autocommit a transaction ends. */
function isMoreThanSet(tokens: readonly SqlToken[]): boolean {
  return word(tokens, 1) === "statement" || tokens.some(({ text }) => text.toLowerCase() === "autocommit");
}

function writeOf(tokens: readonly SqlToken[], dialect: Dialect, commits: boolean): SqlStatement {
  if (COMMITTING.has(word(tokens, 0)) && tokens.some((_, index) => isWideAt(tokens, index))) return UNKNOWN;
  if (dialect === "postgres" && tokens.some(mayBeCut)) {
    return { kind: "write", names: "unknown", target: undefined, commits };
  }
  return {
    kind: "write",
    names: new Set(tokens.filter((token) => mayName(token, dialect)).map(({ text }) => text.toLowerCase())),
    target: rowTarget(tokens),
    commits,
  };
}

/** PostgreSQL cuts names to 63 bytes, so that a longer one may mean a table that is called otherwise. */
function mayBeCut({ kind, text }: SqlToken): boolean {
  // No character takes more than 3 bytes of UTF-8 per UTF-16 unit.
  return (kind === "word" || kind === "quoted") && text.length > 21 && Buffer.byteLength(text) > 63;
}

/** ON DELETE CASCADE describes, DROP … CASCADE does. */
function isWideAt(tokens: readonly SqlToken[], index: number): boolean {
  const text = word(tokens, index);
  return WIDE.has(text) && !(text === "cascade" && DML.has(word(tokens, index - 1)));
}

/** SQLite takes a text in single quotes for a name where a name is due; in MySQL a name may look like a number. */
export function mayName({ kind }: SqlToken, dialect: Dialect): boolean {
  switch (kind) {
    case "word":
    case "quoted":
      return true;
    case "string":
      return dialect === "sqlite";
    default:
      return dialect === "mysql" && (kind === "opaque" || kind === "number");
  }
}

const BEGINNING = words(
  "transaction work deferred immediate exclusive isolation level serializable repeatable read committed uncommitted only write " +
    "not deferrable with consistent snapshot ,",
);
const ENDING = words("transaction work and no chain release");
const NAMING = words("transaction work to savepoint");

/** Only complete forms count: MariaDB's BEGIN NOT ATOMIC, for one, begins a block of statements. */
function controlOf(tokens: readonly SqlToken[], dialect: Dialect): SqlStatement | undefined {
  const [first, second] = [word(tokens, 0), word(tokens, 1)];
  const simple = (kind: Control, allowed: ReadonlySet<string>): SqlStatement => {
    const chain = tokens.some(({ text }, index) => text === "chain" && word(tokens, index - 1) === "and");
    return tokens.slice(1).every(({ text }) => allowed.has(text))
      ? { kind: "control", control: kind, name: "", chain }
      : UNKNOWN;
  };
  const named = (kind: Control): SqlStatement => {
    const name = tokens.at(-1)?.text.toLowerCase() ?? "";
    const complete = tokens.length > 1 && tokens.slice(1, -1).every(({ text }) => NAMING.has(text));
    return complete ? { kind: "control", control: kind, name, chain: false } : UNKNOWN;
  };
  switch (first) {
    case "begin":
      return simple("begin", BEGINNING);
    case "start":
      return second === "transaction" ? simple("begin", BEGINNING) : UNKNOWN;
    case "commit":
      return simple("commit", ENDING);
    case "end":
      return dialect === "mysql" ? UNKNOWN : simple("commit", ENDING);
    case "abort":
      return dialect === "postgres" ? simple("rollback", ENDING) : UNKNOWN;
    case "prepare":
      return second === "transaction" && dialect === "postgres" ? COMMITS_LATER : undefined;
    case "savepoint":
      return named("savepoint");
    case "release":
      return named("release");
    case "rollback":
      if (second === "prepared") return READ;
      return tokens.some((_, index) => word(tokens, index) === "to")
        ? named("rollback-to")
        : simple("rollback", ENDING);
    default:
      return undefined;
  }
}

/** The first phase of two ends the transaction here; COMMIT PREPARED is not understood, and so touches everything. */
const COMMITS_LATER: SqlStatement = { kind: "control", control: "commit", name: "", chain: false };

function word(tokens: readonly SqlToken[], index: number): string {
  const token = tokens[index];
  return token?.kind === "word" ? token.text : "";
}

function isSymbol(token: SqlToken | undefined, text: string): boolean {
  return token?.kind === "symbol" && token.text === text;
}
