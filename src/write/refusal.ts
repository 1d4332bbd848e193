/**
 * Whether an error is the database's own answer: it is done with the statement. If not, the connection was lost or somebody
 * lost patience, and the statement may still be carried out, even after this.
 */
export function isRefusal(error: unknown): boolean {
  const { severity, code, errno, sqlState, fatal } = driverError(error);
  if (typeof severity === "string") return severity === "ERROR"; // PostgreSQL; after FATAL nobody knows.
  if (typeof code === "string" && code.startsWith("SQLITE_")) return true;
  return typeof errno === "number" && typeof sqlState === "string" && fatal !== true && !KILLED.has(errno);
}

/** PostgreSQL will let nothing through but the end of this transaction, which will not be a COMMIT. */
export function isAborted(error: unknown): boolean {
  return driverError(error).code === "25P02";
}

/** SQLite has rolled back by itself before. */
export function isAlreadyOver(error: unknown): boolean {
  return /no transaction is active/.test(String(driverError(error).message));
}

/** ER_SERVER_SHUTDOWN and MariaDB's ER_CONNECTION_KILLED. */
const KILLED = new Set([1053, 1927]);

interface DriverError {
  readonly message?: unknown;
  readonly severity?: unknown;
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly sqlState?: unknown;
  readonly fatal?: unknown;
}

/** TypeORM wraps what a driver throws. */
function driverError(error: unknown): DriverError {
  if (typeof error !== "object" || error === null) return {};
  const { driverError } = error as { driverError?: unknown };
  return typeof driverError === "object" && driverError !== null ? driverError : error;
}
