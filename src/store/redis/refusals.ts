import { messageOf } from "../../core/message-of";
import { StoreError } from "../../errors";
import { withoutValues } from "./without-values";

/** Redis has no memory left. It answers all the same: what is there can be read, and removed. */
export function isFull(error: unknown): boolean {
  return /\bOOM\b/.test(messageOf(error));
}

/** It is an answer after which the server is as good as before. */
export function isNoFault(error: unknown): boolean {
  return isFull(error) || isElsewhere(error) || isUnknownScript(error);
}

/** It is an answer of the server. What else fails a command is the end of the connection, which says so itself. */
export function isAnswer(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/** Does not reject because Redis has no memory left. */
export function unlessFull(work: Promise<unknown>): Promise<void> {
  return unless(isFull, work);
}

/** Does not reject because the server says where else to ask. */
export function unlessElsewhere(work: Promise<unknown>): Promise<void> {
  return unless(isElsewhere, work);
}

async function unless(isNothing: (error: unknown) => boolean, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isNothing(error)) throw error;
  }
}

/** The server at the other end is no primary (any more): only a new connection finds the one that is. */
export function isReplica(error: unknown): boolean {
  return /\b(READONLY|MASTERDOWN)\b/.test(messageOf(error));
}

/** What a command was made for is not at the node that would get it, so that it was not sent. */
export class NotHere extends Error {}

/** What is asked for is at another node of the cluster, or on its way there. Nothing was done. */
export function isElsewhere(error: unknown): boolean {
  return error instanceof NotHere || isUnguarded(error) || /^(MOVED|ASK|TRYAGAIN)\b/.test(messageOf(error));
}

/** The part has to be taken over first: see scripts/guard.lua. Nothing was done. */
export function isUnguarded(error: unknown): boolean {
  return messageOf(error).startsWith("NOGUARD");
}

/** The server does not know a script, which is sent to it then. */
export function isUnknownScript(error: unknown): boolean {
  return messageOf(error).startsWith("NOSCRIPT");
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

/** There is nobody to ask. */
export function unavailable(cause: unknown): StoreError {
  return new StoreError("STORE_UNAVAILABLE", "There is no connection to Redis.", { cause });
}

/** The store was not answered. */
export function timedOut(limit: number): StoreError {
  return new StoreError("STORE_TIMEOUT", `Redis did not answer within ${limit} ms (option \`storeTimeout\`).`);
}
