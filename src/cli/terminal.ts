import { styleText } from "node:util";
import { Secrets } from "./secrets";

type Style = Parameters<typeof styleText>[0];

/** Milliseconds between two lines of progress where they cannot be overwritten. */
const QUIET_PAUSE = 5000;
/** Milliseconds between two where they can. */
const LIVELY_PAUSE = 100;

/** Data goes to standard output, all else to standard error; no secret goes to either. */
export class Terminal {
  readonly secrets = new Secrets();
  /** The text in colours, where standard output has them and NO_COLOR does not forbid them. */
  readonly style = (style: Style, text: string): string =>
    process.stdout.isTTY === true && process.stdout.hasColors() ? styleText(style, text) : text;
  private lastProgress = performance.now();
  private isOverwritten = false;

  /** @param json whether data is printed as JSON */
  constructor(readonly json: boolean) {}

  /** A line of data. */
  print(line: string): void {
    this.clear();
    process.stdout.write(`${this.secrets.hide(line)}\n`);
  }

  /** Data as JSON, if it was asked for, else as lines of text. */
  show(data: unknown, lines: () => readonly string[]): void {
    if (this.json) this.print(JSON.stringify(data, undefined, 2));
    else for (const line of lines()) this.print(line);
  }

  /** A line that is no data. */
  say(line: string): void {
    this.clear();
    process.stderr.write(`${this.secrets.hide(line)}\n`);
  }

  /** How far something is that takes a while. Standard error that is no terminal gets a line now and then. */
  progress(line: string): void {
    const now = performance.now();
    const isLively = process.stderr.isTTY === true;
    if (now - this.lastProgress < (isLively ? LIVELY_PAUSE : QUIET_PAUSE)) return;
    this.lastProgress = now;
    if (!isLively) return this.say(line);
    this.clear();
    this.isOverwritten = true;
    process.stderr.write(this.secrets.hide(line).slice(0, process.stderr.columns - 1));
  }

  private clear(): void {
    if (this.isOverwritten) process.stderr.write("\r\u001b[K");
    this.isOverwritten = false;
  }
}

/** Rows of texts as lines, whose columns are below each other. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")
      .trimEnd(),
  );
}

/** Bytes as one reads them. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${power === 0 ? count : (count / 2 ** (10 * power)).toFixed(1)} ${units[power]!}`;
}
