/** Tells the report at the end of the run what some tests were skipped for want of; each line once. */
export function reportMissing(lines) {
  const known = JSON.parse(process.env.TEST_REPORT_MISSING ?? "[]");
  process.env.TEST_REPORT_MISSING = JSON.stringify([...new Set([...known, ...lines])]);
}
