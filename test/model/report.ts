import type { Exploration } from "./explorer";

/** What a search found, in a line, and below it the way to what is wrong. Not by `console.log`, which jest decorates. */
export function report(name: string, { states, seconds, violation }: Exploration): void {
  const lines = [
    `${name}: ${states.length.toLocaleString("en")} states, ${seconds.toFixed(1)} s, ${violation?.what ?? "no violation"}`,
  ];
  for (const step of violation?.steps ?? []) lines.push(`  ${step}`);
  process.stdout.write(`  ${lines.join("\n  ")}\n`);
}
