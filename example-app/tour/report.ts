import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];
type Word = "hit" | "miss" | "bypass" | "write" | "failed";

const STYLES: Readonly<Record<Word, Style>> = {
  hit: "green",
  miss: "yellow",
  bypass: "magenta",
  write: "cyan",
  failed: "red",
};

const WIDTH = 90;
const INDENT = 3;

/** One line of a section: what was done, how it went, how long it took. */
export interface Step {
  readonly label: string;
  readonly word: Word;
  /** The word, and why. */
  readonly outcome: string;
  readonly micros: number;
  /** What the database was asked, or the like. */
  readonly note: string;
  /** What was not as the tour says; empty for a step that went well. */
  readonly problems: readonly string[];
}

/** Prints the tour: sections with a sentence each, and aligned columns under it, within 90 columns. */
export class Report {
  private readonly colours: boolean;
  private sections = 0;

  constructor(private readonly out: NodeJS.WriteStream) {
    this.colours = out.isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
  }

  title(text: string, facts: Readonly<Record<string, string>>): void {
    this.line(this.paint("bold", text));
    this.line();
    for (const [name, value] of Object.entries(facts)) this.line(`${name.padEnd(10)}${value}`);
  }

  section(title: string, sentence: string): void {
    this.sections += 1;
    this.line();
    this.line(this.paint("bold", `${this.sections}. ${title}`));
    this.paragraph(sentence);
    this.line();
  }

  step({ label, word, outcome, micros, note, problems }: Step): void {
    const mark = problems.length === 0 ? this.paint("green", "✓") : this.paint("red", "✗");
    const columns = [this.paint(STYLES[word], outcome.padEnd(21)), `${whole(micros)} µs`.padStart(10), `  ${note}`];
    this.line(`${" ".repeat(INDENT)}${mark} ${label.padEnd(37)} ${columns.join("")}`.trimEnd());
    for (const problem of problems) this.detail("failed", [problem], STYLES.failed);
  }

  /** Belongs to the step above it; several parts stand apart. */
  detail(name: string, parts: readonly string[], style: Style = "dim"): void {
    const head = `${" ".repeat(INDENT + 4)}${name.padEnd(17)}`;
    const width = WIDTH - head.length;
    const lines = parts.length === 1 ? wrap(parts.join().split(" "), " ", width) : wrap(parts, "  ", width);
    lines.forEach((line, index) =>
      this.line(`${index === 0 ? head : " ".repeat(head.length)}${this.paint(style, line)}`),
    );
  }

  /** Rows of a name, a figure at the right edge of its column, and a remark. */
  table(rows: readonly (readonly [name: string, figure: string, remark: string])[]): void {
    for (const [name, figure, remark] of rows) {
      this.line(
        `${" ".repeat(INDENT)}${name.padEnd(32)}${figure.padStart(10)}   ${this.paint("dim", remark)}`.trimEnd(),
      );
    }
  }

  paragraph(text: string, style?: Style): void {
    for (const line of wrap(text.split(" "), " ", WIDTH - INDENT)) {
      this.line(" ".repeat(INDENT) + (style === undefined ? line : this.paint(style, line)));
    }
  }

  line(text = ""): void {
    this.out.write(`${text}\n`);
  }

  private paint(style: Style, text: string): string {
    return this.colours ? styleText(style, text) : text;
  }
}

/** 1234.5 -> "1,235" */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function wrap(words: readonly string[], separator: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    const longer = line === "" ? word : line + separator + word;
    if (line !== "" && longer.length > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}
