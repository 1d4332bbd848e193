import type { Rules, Scenario } from "./scenario";
import {
  byKey,
  CALM,
  FEW,
  invalidated,
  join,
  searched,
  searchedThrough,
  shared,
  slow,
  statements,
  writtenThrough,
} from "./scenarios";

/** The protocol with one rule left out, in the smallest world in which that is found out. */
export interface Mutant {
  readonly leftOut: string;
  readonly scenario: Scenario;
}

const mutant = (leftOut: string, scenario: Scenario, rules: Partial<Rules>): Mutant => ({
  leftOut,
  scenario: { ...scenario, name: `${scenario.name}; ${leftOut}`, rules: { ...scenario.rules, ...rules } },
});

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
  mutant("the barrier before the search", searched(1, "any-row", "statement", FEW), { search: "before the barrier" }),
  mutant("the barrier in PREPARE", searched(1, "hints", "transaction", FEW), { prepareBarrier: false }),
  mutant("a search only while its lock is young", searched(1, "hints", "transaction", FEW), {
    searchWhileYoung: false,
  }),
  mutant("the barrier that write-through watches", searchedThrough(1, "statement", FEW), { watchBarrier: false }),
  mutant("that only rows are shared whose tags were compared", shared(2, "hints", FEW), { joinCoveredRows: false }),
];
