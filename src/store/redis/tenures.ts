import { createTokenSource } from "../../core/token";

/** What lies under a part's note: which server has served the part last, and since when, as a random text. */
interface Tenure {
  readonly serverId: string;
  readonly since: string;
}

/** What must go before a server may serve a part. */
export interface Arrival {
  readonly remove: "nothing" | "what others left" | "everything";
  /** The note to write then; the one that is there, if nothing must go. */
  readonly note: string;
  /** The server that was there last, as the note says. */
  readonly last: string | undefined;
}

/**
 * Who has served which part, as this process knows it and as the note in Redis says.
 *
 * The note goes with the data, so whoever comes next knows whose leavings there are. But replication is asynchronous: a server may come back
 * as if nobody had stood in for it, with all that was removed meanwhile, and its own note. Who remembers that another has served
 * since does not believe what is there, unless somebody has cleaned up already: then the note is a new one.
 */
export class Tenures {
  private readonly random = createTokenSource();
  /** The server that has served last, by part. */
  private readonly last = new Map<string, string>();
  /** By part and server. */
  private readonly known = new Map<string, Tenure>();

  /** @param note what Redis has under the part's note */
  arrival(part: string, serverId: string, note: string | null | undefined): Arrival {
    const noted = parse(note);
    const served = this.last.get(part);
    const last = noted?.serverId;
    const before = this.known.get(`${part} ${serverId}`);
    const wasAway = served !== undefined && served !== serverId && before !== undefined;
    const isCleaned = last === serverId && noted?.since !== before?.since;
    if (wasAway && !isCleaned) return { remove: "everything", note: this.noteOf(serverId), last };
    if (last !== serverId) return { remove: "what others left", note: this.noteOf(serverId), last };
    return { remove: "nothing", note: note!, last };
  }

  /** The server serves the part from now on, and the note is written. */
  served(part: string, serverId: string, note: string): void {
    this.last.set(part, serverId);
    this.known.set(`${part} ${serverId}`, parse(note)!);
  }

  private noteOf(serverId: string): string {
    return `${serverId} ${this.random()}`;
  }
}

function parse(note: string | null | undefined): Tenure | undefined {
  if (!note) return undefined;
  const [serverId = "", since = ""] = note.split(" ");
  return { serverId, since };
}
