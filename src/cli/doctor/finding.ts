/** ok: as it should be; warn: it works, and could go wrong; fail: it does not work; skip: it could not be looked at. */
export type Status = "ok" | "warn" | "fail" | "skip";

/** What one check has come to. */
export interface Finding {
  /** A stable name. */
  readonly id: string;
  readonly status: Status;
  /** What was seen. */
  readonly seen: string;
  /** What to do about it; undefined if there is nothing. */
  readonly todo?: string;
}

/** Makes the findings of one check. */
export function finding(id: string) {
  const of =
    (status: Status) =>
    (seen: string, todo?: string): Finding => ({ id, status, seen, ...(todo === undefined ? {} : { todo }) });
  return { ok: of("ok"), warn: of("warn"), fail: of("fail"), skip: of("skip") };
}
