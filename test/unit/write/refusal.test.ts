import { describe, expect, it } from "@jest/globals";
import { QueryFailedError } from "typeorm";
import { isAborted, isAlreadyOver, isRefusal } from "../../../src/write/refusal";

const error = (fields: object) => Object.assign(new Error("message" in fields ? String(fields.message) : "no"), fields);
const wrapped = (fields: object) => new QueryFailedError("COMMIT", [], error(fields));

// The fields are those that pg 8, mysql2 3, better-sqlite3 12 and sqlite3 6 set.
describe("an error from a driver", () => {
  const answers: [string, object][] = [
    ["PostgreSQL refuses", { severity: "ERROR", code: "23503" }],
    ["MySQL refuses", { code: "ER_DUP_ENTRY", errno: 1062, sqlState: "23000" }],
    ["MySQL rolls back", { code: "ER_LOCK_DEADLOCK", errno: 1213, sqlState: "40001" }],
    ["better-sqlite3 refuses", { code: "SQLITE_CONSTRAINT_UNIQUE" }],
    ["sqlite3 refuses", { code: "SQLITE_BUSY", errno: 5 }],
  ];
  const silences: [string, object][] = [
    ["PostgreSQL ends the connection", { severity: "FATAL", code: "57P01" }],
    ["PostgreSQL crashes", { severity: "PANIC", code: "XX000" }],
    ["the connection of pg is cut", { message: "Connection terminated unexpectedly" }],
    ["pg waits no longer", { message: "Query read timeout" }],
    [
      "a socket breaks, and its code has five letters like a state of SQL",
      { code: "EPIPE", errno: -32, syscall: "write" },
    ],
    ["a socket is reset", { code: "ECONNRESET", errno: -104 }],
    ["the connection of mysql2 is cut", { code: "PROTOCOL_CONNECTION_LOST", fatal: true }],
    ["mysql2 waits no longer", { code: "PROTOCOL_SEQUENCE_TIMEOUT", fatal: true }],
    ["MariaDB is told to kill the connection", { code: "ER_CONNECTION_KILLED", errno: 1927, sqlState: "70100" }],
    ["MySQL shuts down", { code: "ER_SERVER_SHUTDOWN", errno: 1053, sqlState: "08S01" }],
    ["TypeORM itself refuses", { name: "QueryRunnerAlreadyReleasedError" }],
  ];
  it.each(answers)("is the answer: %s", (_, fields) => {
    expect(isRefusal(wrapped(fields))).toBe(true);
    expect(isRefusal(error(fields))).toBe(true);
  });
  it.each(silences)("is none: %s", (_, fields) => {
    expect(isRefusal(wrapped(fields))).toBe(false);
    expect(isRefusal(error(fields))).toBe(false);
  });

  it("may be anything", () => {
    for (const thrown of [undefined, null, "text", 5, {}, { driverError: null }]) {
      expect(isRefusal(thrown)).toBe(false);
      expect(isAborted(thrown)).toBe(false);
      expect(isAlreadyOver(thrown)).toBe(false);
    }
  });

  it("tells that PostgreSQL has given the transaction up, or that SQLite has", () => {
    expect(isAborted(wrapped({ severity: "ERROR", code: "25P02" }))).toBe(true);
    expect(isAborted(wrapped({ severity: "ERROR", code: "23503" }))).toBe(false);
    expect(
      isAlreadyOver(wrapped({ code: "SQLITE_ERROR", message: "cannot rollback - no transaction is active" })),
    ).toBe(true);
    expect(isAlreadyOver(wrapped({ code: "SQLITE_BUSY", message: "database is locked" }))).toBe(false);
  });
});
