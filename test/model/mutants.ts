import type { Rules, Scenario } from "./scenario";
import { byKey, FEW, invalidated, join, shared, slow, statements, writtenThrough } from "./scenarios";

/** The protocol with one rule left out, in the smallest world in which that is found out. */
export interface Mutant {
  readonly leftOut: string;
  readonly scenario: Scenario;
}

const mutant = (leftOut: string, scenario: Scenario, rules: Partial<Rules>): Mutant => ({
  leftOut,
  scenario: { ...scenario, name: `${scenario.name}; ${leftOut}`, rules: { ...scenario.rules, ...rules } },
});

/** What one writes without thinking of races. Its COMMIT counts from when the cache was touched. */
const CALM = { crashes: 0, rollbacks: false, evictions: 0, flushes: 0 };

export const MUTANTS: readonly Mutant[] = [
  mutant("everything: entries are deleted after COMMIT", slow(invalidated(1, CALM)), { write: "delete after commit" }),
  mutant("everything: entries are set after COMMIT", slow(invalidated(0, CALM)), { write: "set after commit" }),
  mutant("the guard: a lock stands in its tag alone", invalidated(1, FEW), { guard: false }),
  mutant("the quarantine after the guard was lost", invalidated(1, FEW), { quarantine: false }),
  mutant("random tokens: a counter instead", invalidated(1, FEW), { tokens: "counter" }),
  mutant("a deadline for each holder: one for the tag", invalidated(1, FEW), { deadline: "per tag" }),
  mutant("COMMIT only while the lock is young", invalidated(1, FEW), { commitWhileYoung: false }),
  mutant("PREPARE before the load", invalidated(1, FEW), { prepare: "after the load" }),
  mutant("the comparison before write-through", writtenThrough(1, FEW), { compareBeforeWrite: false }),
  mutant("the capture of the epoch at LOCK: taken at UNLOCK", writtenThrough(1, FEW), { captureEpoch: "at unlock" }),
  mutant("no write-through after ROLLBACK", writtenThrough(1, { ...FEW, rollbacks: true }), {
    writeAfterRollback: true,
  }),
  // Each of these two covers for the other, as long as no lock is lost.
  mutant("both marks that tell of another holder", statements(1, FEW), { sharedMark: false, unlockTakesMark: false }),
  mutant("no write-through after a renewal", writtenThrough(1, FEW), { writeAfterRenewal: true }),
  mutant("an UNLOCK that takes the mark of others too", slow(statements(1, FEW)), { unlockTakesMark: false }),
  mutant("the comparison of T:* before row tags are filled under", byKey(1, "any-row", FEW), { compareAnyRow: false }),
  mutant("the comparison of tokens before a load is joined", shared(2, "any-row", FEW), { compareBeforeJoin: false }),
  // Not stale, but rows of two moments: where a load is several statements, the entry must be looked at first.
  mutant("the order of looking", join(2, "any order", "row by row", CALM), {}),
  mutant("that only rows are shared whose tags were compared", shared(2, "hints", FEW), { joinCoveredRows: false }),
];
