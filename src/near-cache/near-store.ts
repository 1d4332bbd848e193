import type { Awaitable } from "../core/awaitable";
import type { Clock } from "../core/clock";
import { tableGroupOf, unstriped } from "../core/stripe";
import type { Tag } from "../core/tag";
import type { Token } from "../core/token";
import type {
  FillRequest,
  ReadAnswer,
  ReadRequest,
  Store,
  StoreContext,
  StoreListener,
  UnlockAnswer,
  UnlockRequest,
} from "../store/store";
import { NearEntries, type NearEntry, type NearSettings } from "./near-entries";

/** What a near cache needs to know. */
export interface NearStoreOptions {
  /** By group, for those that have a near cache; asked once, at the first read. */
  readonly settings: () => ReadonlyMap<string, NearSettings>;
  /** Milliseconds: nothing is trusted unless everything that was sent until then has come in. */
  readonly bound: number;
  readonly clock: Clock;
  readonly onHit: (mode: NearSettings["mode"]) => void;
}

/** A read that is on its way to the store: what is dropped meanwhile must not come in with its answer. */
interface Ticket {
  readonly dropped: Set<Tag>;
  isVoid: boolean;
}

/**
 * Keeps copies of hits in this process, in front of a store.
 *
 * `verify`: the tokens of the copy are compared with those in the store, as for any hit, so it is as right as the store. What is saved
 * is the payload on the wire, and what is made of it.
 *
 * `trust`: a copy is served without asking, for as long as messages are known to come through. Whoever writes sends the tags with
 * his LOCK, before COMMIT, and nobody can get what depends on them from the store until his UNLOCK; so a copy that is here although
 * everything that was sent until a moment has come in is as new as the store was at that moment. This process drops what it
 * writes itself before and after each of its own calls, whatever comes in when.
 */
export class NearStore implements Store {
  readonly name: string;
  readonly stripes: number;
  /** Watches over the channel, if the store has one: nothing is trusted unless it is heard. */
  readonly listen?: NonNullable<Store["listen"]>;
  readonly claim?: NonNullable<Store["claim"]>;
  readonly release?: NonNullable<Store["release"]>;
  private groups: ReadonlyMap<string, NearEntries> | undefined;
  private readonly tickets = new Set<Ticket>();
  private isUp = false;
  /** None after this was closed: a store that others share goes on sending. */
  private listener: StoreListener | undefined;
  /** Everything that was sent before this time has come in. */
  private confirmedAt = -Infinity;

  constructor(
    private readonly inner: Store,
    private readonly options: NearStoreOptions,
  ) {
    this.name = inner.name;
    this.stripes = inner.stripes ?? 1;
    if (inner.listen !== undefined)
      this.listen = async (listener, heartbeat) => inner.listen?.(this.watching(listener), heartbeat);
    if (inner.claim !== undefined) this.claim = inner.claim.bind(inner);
    if (inner.release !== undefined) this.release = inner.release.bind(inner);
  }

  open(context: StoreContext, groups: readonly string[]): Promise<void> {
    return this.inner.open(context, groups);
  }

  read(requests: readonly ReadRequest[]): Awaitable<ReadAnswer[]> {
    this.groups ??= new Map(
      Array.from(this.options.settings(), ([group, settings]) => [group, new NearEntries(settings)]),
    );
    if (this.groups.size === 0) return this.inner.read(requests);
    const answers: (ReadAnswer | undefined)[] = [];
    let isComplete = true;
    for (const request of requests) {
      const answer = this.trusted(request);
      answers.push(answer);
      if (answer === undefined) isComplete = false;
    }
    return isComplete ? (answers as ReadAnswer[]) : this.complete(requests, answers);
  }

  /** Asks for what was not trusted. */
  private async complete(requests: readonly ReadRequest[], answers: (ReadAnswer | undefined)[]): Promise<ReadAnswer[]> {
    const open = requests.flatMap((request, at) => (answers[at] === undefined ? [{ request, at }] : []));
    const verified = await this.verified(open.map(({ request }) => request));
    open.forEach(({ at }, index) => (answers[at] = verified[index]));
    const rest = open.filter(({ at }) => answers[at] === undefined);
    if (rest.length > 0) {
      const asked = await this.ask(rest.map(({ request }) => request));
      rest.forEach(({ at }, index) => (answers[at] = asked[index]));
    }
    return answers as ReadAnswer[];
  }

  prepare(tags: readonly Tag[], tagTtl: number): Promise<Token[]> {
    return this.inner.prepare(tags, tagTtl);
  }

  fill(entries: readonly FillRequest[]): Promise<void> {
    return this.inner.fill(entries);
  }

  lock(...args: Parameters<Store["lock"]>): Promise<Token[]> {
    return this.around(args[0], () => this.inner.lock(...args));
  }

  unlock(request: UnlockRequest): Promise<UnlockAnswer> {
    return this.around(request.tags, () => this.inner.unlock(request));
  }

  invalidate(...args: Parameters<Store["invalidate"]>): Promise<void> {
    return this.around(args[0], () => this.inner.invalidate(...args));
  }

  async close(): Promise<void> {
    this.isUp = false;
    this.listener = undefined;
    this.clear();
    await this.inner.close();
  }

  /** Forgets what depends on these tags: somebody writes it. */
  drop(tags: Iterable<Tag>): void {
    for (const tag of tags) {
      for (const ticket of this.tickets) ticket.dropped.add(tag);
      // An entry lies with its own group, and may depend on tags of others.
      for (const entries of this.all()) entries.drop(tag);
    }
  }

  /** Forgets everything: something may have been missed. */
  clear(): void {
    for (const ticket of this.tickets) ticket.isVoid = true;
    for (const entries of this.all()) entries.clear();
  }

  /** How many copies there are. */
  get size(): number {
    let size = 0;
    for (const entries of this.all()) size += entries.size;
    return size;
  }

  /** Also after the call: a read that was sent after it may have been answered before it, as it is sent anew with its script. */
  private async around<Result>(tags: readonly Tag[], call: () => Promise<Result>): Promise<Result> {
    this.drop(tags);
    try {
      return await call();
    } finally {
      this.drop(tags);
    }
  }

  private watching(listener: StoreListener): StoreListener {
    this.listener = listener;
    return {
      message: (text) => this.listener?.message(text),
      up: () => {
        // What was put before may have missed a message.
        this.clear();
        this.isUp = true;
        this.listener?.up();
      },
      down: (cause) => {
        this.isUp = false;
        this.clear();
        this.listener?.down(cause);
      },
      confirmed: (at) => {
        this.confirmedAt = at;
        this.listener?.confirmed(at);
      },
    };
  }

  private isTrustworthy(now: number): boolean {
    return this.isUp && now - this.confirmedAt <= this.options.bound;
  }

  private trusted(request: ReadRequest): ReadAnswer | undefined {
    const entries = this.entriesOf(request.group);
    if (entries?.settings.mode !== "trust") return undefined;
    const now = this.options.clock.monotonic();
    if (!this.isTrustworthy(now)) return undefined;
    const entry = this.entryFor(entries, request, now);
    if (entry === undefined) return undefined;
    if (request.quiet !== true) this.options.onHit("trust");
    return entry.answer;
  }

  /** Undefined for each request that has no copy, or whose copy is not what the store has. */
  private async verified(requests: readonly ReadRequest[]): Promise<(ReadAnswer | undefined)[]> {
    const now = this.options.clock.monotonic();
    const entries = requests.map((request) => {
      const all = this.entriesOf(request.group);
      const entry = all === undefined ? undefined : this.entryFor(all, request, now);
      return entry?.tokens === undefined ? undefined : { all: all!, entry, tokens: entry.tokens, quiet: request.quiet };
    });
    const known = entries.filter((one) => one !== undefined);
    if (known.length === 0) return requests.map(() => undefined);
    const checks = known.map(({ entry, tokens }) => ({ tags: entry.tags, tokens }));
    // Without it every copy is asked for again.
    const outcomes = (await this.inner.check?.(checks)) ?? [];
    const isGood = new Map(known.map((one, at) => [one, outcomes[at] === true]));
    return entries.map((one) => {
      if (one === undefined) return undefined;
      if (isGood.get(one) === true) {
        if (one.quiet !== true) this.options.onHit("verify");
        return one.entry.answer;
      }
      if (one.all.get(one.entry.key) === one.entry) one.all.delete(one.entry.key);
      return undefined;
    });
  }

  private async ask(requests: readonly ReadRequest[]): Promise<ReadAnswer[]> {
    const ticket: Ticket = { dropped: new Set(), isVoid: !this.isUp };
    this.tickets.add(ticket);
    try {
      const wanted = requests.map((request) =>
        this.entriesOf(request.group) === undefined ? request : { ...request, wantsTokens: true },
      );
      const answers = await this.inner.read(wanted);
      return answers.map((answer, at) => this.put(requests[at]!, answer, ticket));
    } finally {
      this.tickets.delete(ticket);
    }
  }

  /** @returns the answer as it was asked for */
  private put({ group, key, query, tags: named }: ReadRequest, answer: ReadAnswer, ticket: Ticket): ReadAnswer {
    const entries = this.entriesOf(group);
    if (entries === undefined || answer.outcome !== "hit") return answer;
    const { mode, ttl } = entries.settings;
    const { tokens, ...plain } = answer;
    const tags = [...named, ...answer.rowTags];
    const isOvertaken = ticket.isVoid || tags.some((tag) => ticket.dropped.has(unstriped(tag)));
    if (mode === "trust" ? isOvertaken : tokens === undefined) return plain;
    entries.put({
      key,
      query,
      answer: { ...plain, isKept: true, decoded: undefined },
      tags,
      tokens,
      expires: this.options.clock.monotonic() + ttl,
    });
    return plain;
  }

  private entryFor(entries: NearEntries, { key, query, tags }: ReadRequest, now: number): NearEntry | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    // A key builder may give one key to two queries, and a query may depend on more than it did.
    const isSame = entry.query === query && tags.every((tag, at) => entry.tags[at] === tag);
    if (isSame && entry.expires > now) return entry;
    entries.delete(key);
    return undefined;
  }

  private entriesOf(group: string): NearEntries | undefined {
    return this.groups?.get(this.stripes === 1 ? group : tableGroupOf(group));
  }

  private all(): Iterable<NearEntries> {
    return this.groups?.values() ?? [];
  }
}
