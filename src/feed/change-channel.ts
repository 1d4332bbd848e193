import type { Change, OutsideChange } from "../core/change";
import { groupBy } from "../core/group-by";
import { epochTag, groupOf, type Tag } from "../core/tag";
import { decodeMessage, encodeChange, encodeLock, type Rejection } from "./change-message";

/** Why changes may have been missed: a number was left out, or nobody listened for a while. */
export type GapReason = "sequence" | "connection";

/** Who wants to know what the channel brings. */
export interface ChannelListener {
  /** A cache has changed something, perhaps this one. */
  told(change: Omit<Change, "group">, origin: string, sequence: number): void;
  /** A cache is about to commit what these tags are of. */
  locked(tags: readonly Tag[], origin: string): void;
  /** A program asks to invalidate. */
  asked(change: OutsideChange): void;
  rejected(why: Rejection): void;
  /** @param origin of whom something was missed; undefined if it may be anybody */
  gap(reason: GapReason, origin: string | undefined): void;
  /** Nothing comes in. */
  lost(cause: unknown): void;
  /** Everything that was sent before this time, on the monotonic clock of the process, has come in. */
  confirmed(at: number): void;
}

/** More processes than this are forgotten, the one heard least lately first; it begins anew when it is heard again. */
const MOST_ORIGINS = 10_000;

/** More messages than this are under way only while the channel is down; those beyond are read like any other. */
const MOST_SENT = 1000;

/** Numbers what this process publishes, and watches over the numbers of the others. */
export class ChangeChannel {
  private sequence = 0;
  /** The last number heard, by origin. */
  private readonly heard = new Map<string, number>();
  private listened = false;
  /** What this process has sent and not heard yet, by its text: half of what one process hears is its own, and need not be read. */
  private readonly sent = new Map<string, { readonly change: Omit<Change, "group">; readonly sequence: number }>();

  /** @param origin names this process among all that share the namespace */
  constructor(
    readonly origin: string,
    private readonly secret: string | undefined,
    private readonly listener: ChannelListener,
  ) {}

  /** The messages that tell of changes, by the group of their table. They must be sent in this order. */
  encode(changes: readonly Change[]): Map<string, string> {
    return new Map(
      changes.map((change) => {
        const { group, ...told } = change;
        const sequence = ++this.sequence;
        const text = encodeChange(change, epochTag(group), this.origin, sequence, this.secret);
        this.remember(text, told, sequence);
        return [group, text];
      }),
    );
  }

  /** The messages that tell of locked tags, by their group. They must be sent in this order. */
  encodeLock(tags: readonly Tag[]): Map<string, string> {
    return new Map(
      Array.from(groupBy(tags, groupOf), ([group, members]) => [
        group,
        encodeLock(members, epochTag(group), this.origin, ++this.sequence, this.secret),
      ]),
    );
  }

  /** A message has come in. Never throws. */
  message(text: string): void {
    const own = this.sent.get(text);
    if (own !== undefined) {
      this.sent.delete(text);
      this.follow(this.origin, own.sequence);
      return this.listener.told(own.change, this.origin, own.sequence);
    }
    const heard = decodeMessage(text, this.secret);
    if (heard.kind === "rejected") return this.listener.rejected(heard.why);
    if (heard.kind === "asked") {
      const { table, operation, rows } = heard;
      return this.listener.asked({ table, operation, rows });
    }
    const { origin, sequence } = heard;
    this.follow(origin, sequence);
    if (heard.kind === "locked") return this.listener.locked(heard.tags, origin);
    const { change } = heard;
    this.listener.told(change, origin, sequence);
  }

  /** Messages come in from now on. What was sent before, after somebody had listened already, is lost. */
  up(): void {
    this.heard.clear();
    if (this.listened) this.listener.gap("connection", undefined);
    this.listened = true;
  }

  down(cause?: unknown): void {
    this.listener.lost(cause);
  }

  confirmed(at: number): void {
    this.listener.confirmed(at);
  }

  private remember(text: string, change: Omit<Change, "group">, sequence: number): void {
    this.sent.set(text, { change, sequence });
    if (this.sent.size <= MOST_SENT) return;
    for (const oldest of this.sent.keys()) {
      this.sent.delete(oldest);
      return;
    }
  }

  /** Own messages are followed too: one that is missing was not sent, so that others have not heard it either. */
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
