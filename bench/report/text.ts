import type { BenchResult, SeriesMedians, Table, Verdict } from "./result";

/** All of a run as text, for a terminal. */
export function textOf({ environment, series, tables, aims }: BenchResult): string {
  const groups = [...new Set(series.map(({ group }) => group))];
  const parts = [
    ...groups.map((group) =>
      textOfGroup(
        group,
        series.filter((one) => one.group === group),
      ),
    ),
    ...tables.map(textOfTable),
  ];
  if (aims.length > 0) parts.push(grid("aims", ["", "measured", "aim", ""], aims.map(rowOf)));
  return `${[...parts, environment].join("\n\n")}\n`;
}

/** Microseconds with as many digits as mean something. */
export function micros(value: number): string {
  return `${value < 100 ? value.toFixed(1) : grouped(value)} µs`;
}

/** A whole number that can be read. */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function textOfTable({ title, columns, rows, note }: Table): string {
  return grid(title, columns, rows) + (note === undefined ? "" : `\n${note}`);
}

function textOfGroup(group: string, series: readonly SeriesMedians[]): string {
  const inFlight = [...new Set(series.map((one) => one.inFlight))].sort((one, other) => one - other);
  const names = [...new Set(series.map(({ name }) => name))];
  const columns = ["", ...inFlight.flatMap((count) => [`${count} in flight: p50`, "p99", "ops/s"])];
  const rows = names.map((name) => [
    name,
    ...inFlight.flatMap((count) => {
      const found = series.find((one) => one.name === name && one.inFlight === count);
      return found === undefined ? ["", "", ""] : [micros(found.p50), micros(found.p99), grouped(found.throughput)];
    }),
  ]);
  return grid(group, columns, rows);
}

function rowOf({ text, measured, bound, side, met }: Verdict): readonly string[] {
  const off = Math.abs(measured / bound - 1);
  const by = side === "at most" ? `${(100 * off).toFixed(0)} % above` : `${(100 * off).toFixed(0)} % below`;
  return [text, measured.toFixed(2), `${side} ${bound}`, met ? "met" : `MISSED, ${by}`];
}

/** The first column begins at the left, the others end at the right. */
function grid(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [columns, ...rows];
  const widths = columns.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  widths[0] = Math.max(widths[0] ?? 0, title.length);
  const lines = all.map((row, line) =>
    row
      .map((cell, at) => (at === 0 ? (line === 0 ? title : cell).padEnd(widths[0]!) : cell.padStart(widths[at]!)))
      .join("  ")
      .trimEnd(),
  );
  return lines.join("\n");
}
