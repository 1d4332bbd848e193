import type { Change, RowKey } from "../core/change";
import { epochTag } from "../core/tag";
import { decodeMessage, encodeChange, type Rejection } from "./change-message";

/** Why changes may have been missed: a number was left out, or nobody listened for a while. */
export type GapReason = "sequence" | "connection";

/** Who wants to know what the channel brings. */
export interface ChannelListener {
  /** A cache has changed something, perhaps this one. */
  told(change: Omit<Change, "group">, origin: string, sequence: number): void;
  /** A program asks to invalidate rows, or with null the whole table. */
  asked(table: string, rows: readonly RowKey[] | null): void;
  rejected(why: Rejection): void;
  gap(reason: GapReason, origin?: string): void;
}

/** More processes than this are forgotten, the one heard least lately first; it begins anew when it is heard again. */
const MOST_ORIGINS = 10_000;

/** Numbers what this process publishes, and watches over the numbers of the others. */
export class ChangeChannel {
  private sequence = 0;
  /** The last number heard, by origin. */
  private readonly heard = new Map<string, number>();
  private listened = false;

  /** @param origin names this process among all that share the namespace */
  constructor(
    readonly origin: string,
    private readonly listener: ChannelListener,
    private readonly secret: string | undefined,
  ) {}

  /** The messages that tell of changes, by the group of their table. */
  encode(changes: readonly Change[]): Map<string, string> {
    return new Map(
      changes.map((change) => {
        const epoch = epochTag(change.group);
        return [change.group, encodeChange(change, epoch, this.origin, ++this.sequence, this.secret)];
      }),
    );
  }

  /** A message has come in. Never throws. */
  receive(message: string): void {
    const heard = decodeMessage(message, this.secret);
    if (heard.kind === "rejected") return this.listener.rejected(heard.why);
    if (heard.kind === "asked") return this.listener.asked(heard.table, heard.rows);
    const { change, origin, sequence } = heard;
    this.follow(origin, sequence);
    this.listener.told(change, origin, sequence);
  }

  /** Messages come in from now on. What was sent before, after somebody had listened already, is lost. */
  up(): void {
    if (this.listened) this.listener.gap("connection");
    this.listened = true;
    this.heard.clear();
  }

  private follow(origin: string, sequence: number): void {
    const last = this.heard.get(origin);
    this.heard.delete(origin);
    this.heard.set(origin, Math.max(sequence, last ?? 0));
    if (last !== undefined && sequence > last + 1) this.listener.gap("sequence", origin);
    if (this.heard.size <= MOST_ORIGINS) return;
    for (const oldest of this.heard.keys()) {
      this.heard.delete(oldest);
      return;
    }
  }
}
