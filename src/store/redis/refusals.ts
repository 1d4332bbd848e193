import { messageOf } from "../../core/message-of";
import { StoreError } from "../../errors";
import { withoutValues } from "./without-values";

/** Redis has no memory left. It answers all the same: what is there can be read, and removed. */
export function isFull(error: unknown): boolean {
  return /\bOOM\b/.test(messageOf(error));
}

/** It is an answer of the server. What else fails a command is the end of the connection, which says so itself. */
export function isAnswer(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/** Does not reject because Redis has no memory left. */
export async function unlessFull(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

/** The server at the other end is no primary (any more): only a new connection finds the one that is. */
export function isReplica(error: unknown): boolean {
  return /\b(READONLY|MASTERDOWN)\b/.test(messageOf(error));
}

/** The user of the connection may not do that. */
export function isForbidden(error: unknown): boolean {
  return /\bNOPERM\b/.test(messageOf(error));
}

/** The store did not get what it asked for. */
export function failed(error: unknown): StoreError {
  const cause = withoutValues(error);
  return new StoreError("STORE_UNAVAILABLE", `Redis did not carry out a command: ${messageOf(cause)}`, { cause });
}

/** The store was not answered. */
export function timedOut(limit: number): StoreError {
  return new StoreError("STORE_TIMEOUT", `Redis did not answer within ${limit} ms (option \`storeTimeout\`).`);
}
