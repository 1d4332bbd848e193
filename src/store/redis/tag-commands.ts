import type { Tag } from "../../core/tag";
import type { Token } from "../../core/token";
import type { MessageFor } from "./messages";
import type { Session } from "./redis-connection";
import { isElsewhere } from "./refusals";
import { milliseconds, runScript, scripts } from "./run-script";
import type { Spread } from "./spread";

/** What the scripts need to know of their store. */
export interface TagSettings {
  readonly spread: Spread;
  /** Milliseconds. */
  readonly lockTtl: number;
  /** Whether scripts make a guard that is missing: see scripts/guard.lua. */
  readonly makesGuards: boolean;
}

/** Tokens that are minted where there are none. */
export interface Minting {
  readonly token: Token;
  /** Milliseconds that a tag lives. */
  readonly tagTtl: number;
}

/** What {@link lockTags} locks for whom. */
export interface LockCommand extends Minting {
  readonly tags: readonly Tag[];
  readonly readTags: readonly Tag[];
  readonly holder: string;
  readonly messageFor: MessageFor;
}

/** The tokens of tags; "" where nothing may be filled now, and where a part is on its way from one node to another. */
export async function prepareTags(
  { client, keys }: Session,
  { spread, lockTtl, makesGuards }: TagSettings,
  tags: readonly Tag[],
  { token, tagTtl }: Minting,
): Promise<Token[]> {
  const captured = new Map<Tag, Token>();
  const args = [milliseconds(lockTtl), token, milliseconds(tagTtl), flag(makesGuards)];
  await Promise.all(
    Array.from(spread.byPart(tags), async ([part, members]) => {
      const guarded = [keys.guard(part), ...members.map((tag) => keys.tag(tag))];
      try {
        const reply = await runScript(client, scripts().prepare, guarded, args);
        members.forEach((tag, at) => captured.set(tag, textAt(reply, at)));
      } catch (error) {
        if (!isElsewhere(error)) throw error;
        for (const tag of members) captured.set(tag, "");
      }
    }),
  );
  return tags.map((tag) => captured.get(tag)!);
}

/** Locks tags, and answers with the tokens of the read tags. */
export async function lockTags(
  { client, keys }: Session,
  { spread, lockTtl, makesGuards }: TagSettings,
  { tags, readTags, holder, token, tagTtl, messageFor }: LockCommand,
): Promise<Token[]> {
  const locked = spread.touchedBy(tags);
  const read = spread.byPart(readTags);
  const captured = new Map<Tag, Token>();
  await Promise.all(
    Array.from(new Set([...locked.keys(), ...read.keys()]), async (part) => {
      const own = locked.get(part) ?? [];
      const members = read.get(part) ?? [];
      const guarded = [keys.guard(part), ...[...own, ...members].map((tag) => keys.tag(tag))];
      const args = [holder, milliseconds(lockTtl), String(own.length), token, milliseconds(tagTtl)];
      const sent = [keys.channel, messageFor(part), flag(makesGuards)];
      const reply = await runScript(client, scripts().lock, guarded, [...args, ...sent]);
      members.forEach((tag, at) => captured.set(tag, textAt(reply, at)));
    }),
  );
  return readTags.map((tag) => captured.get(tag)!);
}

/**
 * Deletes tags, whatever locks them.
 *
 * @param parts those whose message is sent although none of their tags is deleted
 */
export async function invalidateTags(
  { client, keys }: Session,
  { spread, makesGuards }: TagSettings,
  tags: readonly Tag[],
  messageFor: MessageFor,
  parts: Iterable<string>,
): Promise<void> {
  const touched = spread.touchedBy(tags);
  await Promise.all(
    Array.from(new Set([...touched.keys(), ...parts]), (part) => {
      const members = (touched.get(part) ?? []).map((tag) => keys.tag(tag));
      const args = [keys.channel, messageFor(part), flag(makesGuards)];
      return runScript(client, scripts().invalidate, [keys.guard(part), ...members], args);
    }),
  );
}

function flag(value: boolean): string {
  return value ? "1" : "0";
}

function textAt(reply: unknown, index: number): Token {
  return (reply as Token[])[index]!;
}
