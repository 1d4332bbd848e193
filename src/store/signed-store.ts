import type { Entry } from "../core/entry";
import { EntrySignatures, type EntryPlace } from "../core/entry-signature";
import type { Tag } from "../core/tag";
import type { Token } from "../core/token";
import type { FillRequest, ReadAnswer, ReadRequest, Store, StoreContext, UnlockAnswer, UnlockRequest } from "./store";

/** The store, with what is in it signed if there are secrets. */
export function signed(store: Store, secrets: readonly [string, ...string[]] | undefined): Store {
  return secrets === undefined ? store : new SignedStore(store, new EntrySignatures(secrets));
}

/**
 * Signs what goes into a store, and believes nothing that comes out of it without a signature: to whoever is in front of it, an entry
 * that somebody made up or moved is a miss. Stands only where the option `entrySecret` is given.
 */
export class SignedStore implements Store {
  readonly name: string;
  readonly stripes: number;
  readonly check?: NonNullable<Store["check"]>;
  readonly claim?: NonNullable<Store["claim"]>;
  readonly release?: NonNullable<Store["release"]>;
  readonly listen?: NonNullable<Store["listen"]>;
  private namespace = "";

  constructor(
    private readonly inner: Store,
    private readonly signatures: EntrySignatures,
  ) {
    this.name = inner.name;
    this.stripes = inner.stripes ?? 1;
    // What holds no entry goes straight through, and is there if the store has it.
    if (inner.check !== undefined) this.check = inner.check.bind(inner);
    if (inner.claim !== undefined) this.claim = inner.claim.bind(inner);
    if (inner.release !== undefined) this.release = inner.release.bind(inner);
    if (inner.listen !== undefined) this.listen = inner.listen.bind(inner);
  }

  open(context: StoreContext, groups: readonly string[]): Promise<void> {
    this.namespace = context.namespace;
    return this.inner.open(context, groups);
  }

  async read(requests: readonly ReadRequest[]): Promise<ReadAnswer[]> {
    // The tokens are signed too.
    const answers = await this.inner.read(requests.map((request) => ({ ...request, wantsTokens: true })));
    return answers.map((answer, at) => this.checked(requests[at]!, answer));
  }

  prepare(tags: readonly Tag[], tagTtl: number): Promise<Token[]> {
    return this.inner.prepare(tags, tagTtl);
  }

  fill(entries: readonly FillRequest[]): Promise<void> {
    return this.inner.fill(entries.map((entry) => this.signed(entry)));
  }

  lock(...args: Parameters<Store["lock"]>): Promise<Token[]> {
    return this.inner.lock(...args);
  }

  unlock(request: UnlockRequest): Promise<UnlockAnswer> {
    return this.inner.unlock({ ...request, entries: request.entries.map((entry) => this.signed(entry)) });
  }

  invalidate(...args: Parameters<Store["invalidate"]>): Promise<void> {
    return this.inner.invalidate(...args);
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  private signed<Request extends FillRequest>(request: Request): Request {
    return { ...request, value: this.signatures.sign(this.placeOf(request), request.value) };
  }

  /** The answer as it was asked for. */
  private checked(request: ReadRequest, answer: ReadAnswer): ReadAnswer {
    if (answer.outcome === "hit") {
      const { tokens, ...plain } = answer;
      const payload = this.payloadOf(request, { ...plain, tokens });
      if (payload === undefined) return UNSIGNED;
      return request.wantsTokens === true ? { ...answer, payload } : { ...plain, payload };
    }
    const { last, rowTags = [] } = answer;
    if (last === undefined) return answer;
    const payload = this.payloadOf(request, { ...last, rowTags });
    return payload === undefined ? UNSIGNED : { ...answer, last: { ...last, payload } };
  }

  /** A store that does not say the tokens gets no hit. */
  private payloadOf(
    request: ReadRequest,
    {
      tokens,
      payload,
      rowTags,
      filledAt,
    }: Omit<Entry, "query" | "tokens"> & { readonly tokens?: Entry["tokens"] | undefined },
  ): string | undefined {
    if (tokens === undefined) return undefined;
    const entry = { query: request.query, tokens, rowTags, payload, ...(filledAt === undefined ? {} : { filledAt }) };
    return this.signatures.payloadOf(this.placeOf(request), entry);
  }

  private placeOf({ group, key }: Pick<FillRequest, "group" | "key">): EntryPlace {
    return { namespace: this.namespace, group, key };
  }
}

/** Not even its row tags are believed. */
const UNSIGNED: ReadAnswer = { outcome: "miss", why: "unsigned" };
