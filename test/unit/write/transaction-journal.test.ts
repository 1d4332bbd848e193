import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { DataSource } from "typeorm";
import type { Schema } from "../../../src/metadata/schema";
import type { ChangeSet } from "../../../src/write/change-set";
import { TransactionJournal } from "../../../src/write/transaction-journal";
import { changesOf, openSchema, short, tableOf } from "./shop";

let dataSource: DataSource;
let schema: Schema;
beforeAll(async () => ({ dataSource, schema } = await openSchema()));
afterAll(() => dataSource.destroy());

let journal: TransactionJournal;
beforeEach(() => {
  journal = new TransactionJournal(schema);
});

const row = (id: number): ChangeSet => changesOf(schema, `UPDATE product SET price = 1 WHERE id = ${id}`);
const rows = (...ids: number[]) => (ids.length === 0 ? "" : `product: * ${ids.map((id) => `id=${id}`).join(" ")}`);
const pending = () => short(journal.pending());
/** A write that has been sent and has not returned until `end` is called. */
function inFlight(changes: ChangeSet): { readonly end: () => Promise<void> } {
  let settle!: () => void;
  const sent = journal.during(changes, () => new Promise<void>((resolve) => (settle = resolve)));
  return {
    end: () => {
      settle();
      return sent;
    },
  };
}

describe("a transaction", () => {
  it("holds what is recorded from its BEGIN on, and nothing after its end", () => {
    journal.record(row(1));
    expect(journal.isOpen()).toBe(false);
    journal.begin().done();
    expect(journal.isOpen()).toBe(true);
    expect(pending()).toBe(rows());
    journal.record(row(2));
    journal.record(row(3));
    expect(pending()).toBe(rows(2, 3));
    journal.end().done();
    expect(journal.isOpen()).toBe(false);
    expect(pending()).toBe(rows());
  });

  it("is ended as soon as COMMIT is sent, and is back if COMMIT fails", () => {
    journal.begin().done();
    journal.record(row(1));
    const commit = journal.end();
    expect(journal.isOpen()).toBe(false);
    expect(journal.ending).toBe(1);
    commit.failed();
    expect(journal.isOpen()).toBe(true);
    expect(journal.ending).toBe(0);
    expect(pending()).toBe(rows(1));
    expect(journal.isCertain()).toBe(false);
    journal.end().done();
    expect(journal.isCertain()).toBe(true);
  });

  it("does not come back where there was none", () => {
    journal.end().failed();
    expect(journal.isOpen()).toBe(false);
    expect(journal.isCertain()).toBe(true);
  });

  it("is forgotten if BEGIN fails", () => {
    const begin = journal.begin();
    journal.record(row(1));
    begin.failed();
    expect(journal.isOpen()).toBe(false);
    expect(journal.isCertain()).toBe(true);
  });

  it("changes its version with everything that a COMMIT must look at again", () => {
    const versions = new Set([journal.version]);
    const next = () => versions.add(journal.version);
    journal.begin().done();
    journal.record(row(1));
    next();
    journal.savepoint("a").done();
    journal.record(row(2));
    next();
    journal.rollbackTo("a").done();
    next();
    journal.end().done();
    next();
    expect(versions.size).toBe(5);
  });
});

describe("savepoints", () => {
  beforeEach(() => {
    journal.begin().done();
    journal.record(row(1));
    journal.savepoint("a").done();
    journal.record(row(2));
  });

  it("that are released hand on what they hold", () => {
    journal.savepoint("b").done();
    journal.record(row(3));
    journal.release("b");
    expect(pending()).toBe(rows(1, 2, 3));
    journal.rollbackTo("a").done();
    expect(pending()).toBe(rows(1));
  });

  it("that are rolled back to drop what they hold, and stay", () => {
    journal.rollbackTo("a").done();
    expect(pending()).toBe(rows(1));
    journal.record(row(3));
    journal.rollbackTo("a").done();
    expect(pending()).toBe(rows(1));
  });

  it("take those above them along", () => {
    journal.savepoint("b").done();
    journal.record(row(3));
    journal.savepoint("c").done();
    journal.record(row(4));
    journal.release("b");
    expect(pending()).toBe(rows(1, 2, 3, 4));
    journal.rollbackTo("a").done();
    expect(pending()).toBe(rows(1));
  });

  it("of one name: the innermost counts", () => {
    journal.savepoint("a").done();
    journal.record(row(3));
    journal.rollbackTo("a").done();
    expect(pending()).toBe(rows(1, 2));
    journal.release("a");
    journal.rollbackTo("a").done();
    expect(pending()).toBe(rows(1));
  });

  it("that nobody knows change nothing", () => {
    journal.release("x");
    journal.rollbackTo("x").done();
    journal.rollbackTo("").done();
    expect(pending()).toBe(rows(1, 2));
    expect(journal.isOpen()).toBe(true);
  });

  it("keep all of it if ROLLBACK TO fails", () => {
    const step = journal.rollbackTo("a");
    journal.record(row(3));
    step.failed();
    expect(pending()).toBe(rows(1, 2, 3));
    // What was sent behind it lies in the savepoint that is still there.
    journal.rollbackTo("a").done();
    expect(pending()).toBe(rows(1));
  });

  it("drop nothing before ROLLBACK TO has returned", () => {
    journal.rollbackTo("a");
    expect(pending()).toBe(rows(1, 2));
  });

  it("keep what was sent behind ROLLBACK TO", () => {
    const step = journal.rollbackTo("a");
    journal.record(row(3));
    step.done();
    expect(pending()).toBe(rows(1, 3));
  });

  it("keep a write that was under way when ROLLBACK TO was sent: it may come after it", async () => {
    const write = inFlight(row(5));
    journal.rollbackTo("a").done();
    await write.end();
    expect(pending()).toBe(rows(1, 5));
    expect(short(journal.pending())).toBe(rows(1, 5));
  });

  it("do not void a write that was sent behind SAVEPOINT while that was under way: it may come before it", () => {
    const step = journal.savepoint("b");
    journal.record(row(3));
    step.done();
    journal.record(row(4));
    journal.rollbackTo("b").done();
    expect(pending()).toBe(rows(1, 2, 3));
  });

  it("that could not be made leave what was sent behind them where it is", () => {
    const step = journal.savepoint("b");
    journal.record(row(3));
    step.failed();
    journal.rollbackTo("a").done();
    expect(pending()).toBe(rows(1));
  });
});

describe("a savepoint outside of a transaction", () => {
  it("begins one, which its release would commit", () => {
    journal.savepoint("a").done();
    journal.record(row(1));
    expect(journal.isOpen()).toBe(true);
    expect(journal.isBegunBy("a")).toBe(true);
    expect(journal.isBegunBy("b")).toBe(false);
    expect(journal.begun).toBe(1);
    journal.rollbackTo("a").done();
    expect(journal.isBegunBy("a")).toBe(true);
    expect(pending()).toBe(rows());
  });

  it("does so even after a ROLLBACK TO that failed", () => {
    journal.savepoint("a").done();
    journal.rollbackTo("a").failed();
    expect(journal.isBegunBy("a")).toBe(true);
  });

  it("is not the one of the same name inside", () => {
    journal.savepoint("a").done();
    journal.savepoint("a").done();
    expect(journal.isBegunBy("a")).toBe(false);
    journal.release("a");
    expect(journal.isBegunBy("a")).toBe(true);
  });

  it("inside of a transaction begins nothing", () => {
    journal.begin().done();
    journal.savepoint("a").done();
    expect(journal.isBegunBy("a")).toBe(false);
  });
});

describe("statements under way at the same time", () => {
  it("a BEGIN takes over the writes that it may overtake", async () => {
    const write = inFlight(row(1));
    journal.begin().done();
    await write.end();
    expect(pending()).toBe(rows(1));
  });

  it("a write that has returned is not part of what begins after it", async () => {
    await inFlight(row(1)).end();
    journal.begin().done();
    expect(pending()).toBe(rows());
  });

  it("a write that was refused is not either", async () => {
    await expect(journal.during(row(1), () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    journal.begin().done();
    expect(pending()).toBe(rows());
  });

  it("while a BEGIN is under way no write is inside for sure", () => {
    const step = journal.begin();
    expect(journal.isCertain()).toBe(false);
    step.done();
    expect(journal.isCertain()).toBe(true);
  });

  it("a write that may have overtaken a COMMIT is part of what is left if that fails", async () => {
    journal.begin().done();
    const commit = journal.end();
    const write = inFlight(row(2));
    await write.end();
    commit.failed();
    expect(pending()).toBe(rows(2));
  });

  it("and is not kept for the next one if it succeeds", async () => {
    journal.begin().done();
    const commit = journal.end();
    await inFlight(row(2)).end();
    commit.done();
    journal.begin().done();
    journal.end().failed();
    expect(pending()).toBe(rows());
  });

  it("a COMMIT that fails behind the BEGIN of another context leaves both", () => {
    journal.begin().done();
    journal.record(row(1));
    const commit = journal.end();
    const begin = journal.begin();
    journal.record(row(2));
    commit.failed();
    begin.failed();
    expect(journal.isOpen()).toBe(true);
    expect(pending()).toBe(rows(1, 2));
    expect(journal.isCertain()).toBe(false);
  });

  it("tells when no COMMIT or ROLLBACK is under way any more", async () => {
    await journal.ended();
    const [first, second] = [journal.end(), journal.end()];
    let ended = false;
    const waiting = journal.ended().then(() => (ended = true));
    first.done();
    await Promise.resolve();
    expect(ended).toBe(false);
    second.failed();
    await waiting;
  });

  it("tells writes that the transaction has ended, or may have, behind their back", () => {
    journal.begin().done();
    const { turns } = journal;
    journal.record(row(1));
    journal.savepoint("a").done();
    journal.release("a");
    expect(journal.turns).toBe(turns);
    journal.doubt();
    expect(journal.turns).not.toBe(turns);
    const doubted = journal.turns;
    journal.end();
    expect(journal.turns).not.toBe(doubted);
  });
});

describe("after a statement failed", () => {
  it("nothing is certain until the end", () => {
    journal.begin().done();
    journal.doubt();
    journal.record(row(1));
    journal.savepoint("a").done();
    journal.release("a");
    expect(journal.isCertain()).toBe(false);
    expect(pending()).toBe(rows(1));
    journal.end().done();
    expect(journal.isCertain()).toBe(true);
  });

  it("a savepoint from before, that can be rolled back to, shows that the transaction is still there", () => {
    journal.begin().done();
    journal.savepoint("a").done();
    journal.doubt();
    const step = journal.rollbackTo("a");
    expect(journal.isCertain()).toBe(false);
    step.done();
    expect(journal.isCertain()).toBe(true);
  });

  it("a savepoint from after it shows nothing", () => {
    journal.begin().done();
    journal.doubt();
    journal.savepoint("a").done();
    journal.rollbackTo("a").done();
    expect(journal.isCertain()).toBe(false);
  });

  it("nor does one that cannot be rolled back to, or one behind which another statement failed", () => {
    journal.begin().done();
    journal.savepoint("a").done();
    journal.doubt();
    journal.rollbackTo("a").failed();
    expect(journal.isCertain()).toBe(false);
    const step = journal.rollbackTo("a");
    journal.doubt();
    step.done();
    expect(journal.isCertain()).toBe(false);
  });
});

describe("rows of which an event says that they were inserted", () => {
  const insert = () => changesOf(schema, "INSERT INTO product (id, code) VALUES (NULL, 'x')");
  const known = (id: number) => changesOf(schema, `INSERT INTO product (id, code) VALUES (${id}, 'x')`);
  const announce = (id: number) => journal.recordInserted(tableOf(schema, "product"), [id], true);
  beforeEach(() => journal.begin().done());

  it("explain statements that did not say which", () => {
    journal.record(insert());
    journal.record(insert());
    announce(1);
    expect(pending()).toBe("product: all");
    announce(2);
    expect(pending()).toBe("product: * id=1! id=2!");
  });

  it("explain none if a statement had said which: another may have inserted who knows what", () => {
    journal.record(insert());
    journal.record(known(7));
    announce(7);
    expect(pending()).toBe("product: all");
  });

  it("explain nothing in advance", () => {
    announce(1);
    journal.record(insert());
    expect(pending()).toBe("product: all");
  });

  it("explain what was inserted before a savepoint too", () => {
    journal.record(insert());
    journal.savepoint("a").done();
    announce(1);
    expect(pending()).toBe("product: * id=1!");
    journal.rollbackTo("a").done();
    expect(pending()).toBe("product: all");
  });
});
