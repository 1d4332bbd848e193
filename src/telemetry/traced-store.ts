import type { Awaitable } from "../core/awaitable";
import type { Tag } from "../core/tag";
import type { Token } from "../core/token";
import type {
  FillRequest,
  ReadAnswer,
  ReadRequest,
  Store,
  StoreContext,
  UnlockAnswer,
  UnlockRequest,
} from "../store/store";
import type { CacheReporter } from "./cache-reporter";
import type { StoreOperation } from "./operations";

/**
 * Tells how long each call of a store takes. It is the innermost of all that stands before the store, so that what a copy in the process
 * answers, or a signature costs, is not counted as the store's. While nobody listens it hands calls on.
 */
export class TracedStore implements Store {
  readonly name: string;
  readonly stripes: number;
  readonly check?: NonNullable<Store["check"]>;
  readonly claim?: NonNullable<Store["claim"]>;
  readonly release?: NonNullable<Store["release"]>;
  readonly listen?: NonNullable<Store["listen"]>;

  constructor(
    private readonly inner: Store,
    private readonly reporter: CacheReporter,
  ) {
    this.name = inner.name;
    this.stripes = inner.stripes ?? 1;
    // What a store does not have, this one has not either.
    if (inner.check !== undefined) {
      this.check = (copies) => this.traced("check", copies.length, () => inner.check!(copies));
    }
    if (inner.claim !== undefined) this.claim = (flight) => this.traced("claim", 1, () => inner.claim!(flight));
    if (inner.release !== undefined) this.release = (flight) => this.traced("release", 1, () => inner.release!(flight));
    if (inner.listen !== undefined) this.listen = inner.listen.bind(inner);
  }

  open(context: StoreContext, groups: readonly string[]): Promise<void> {
    return this.inner.open(context, groups);
  }

  read(requests: readonly ReadRequest[]): Awaitable<ReadAnswer[]> {
    // The way of every hit: not even a function is made for nobody.
    if (!this.reporter.isTraced("store")) return this.inner.read(requests);
    return this.traced("read", requests.length, () => {
      const answers = this.inner.read(requests);
      // A store may have made its promise with something else than ours.
      return Array.isArray(answers) ? answers : Promise.resolve(answers);
    });
  }

  prepare(tags: readonly Tag[], tagTtl: number): Promise<Token[]> {
    return this.traced("prepare", tags.length, () => this.inner.prepare(tags, tagTtl));
  }

  fill(entries: readonly FillRequest[]): Promise<void> {
    return this.traced("fill", entries.length, () => this.inner.fill(entries));
  }

  lock(...args: Parameters<Store["lock"]>): Promise<Token[]> {
    return this.traced("lock", args[0].length, () => this.inner.lock(...args));
  }

  unlock(request: UnlockRequest): Promise<UnlockAnswer> {
    return this.traced("unlock", request.tags.length, () => this.inner.unlock(request));
  }

  invalidate(...args: Parameters<Store["invalidate"]>): Promise<void> {
    return this.traced("invalidate", args[0].length, () => this.inner.invalidate(...args));
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  private traced<Result>(operation: StoreOperation["operation"], items: number, call: () => Result): Result {
    return this.reporter.trace("store", () => ({ store: this.name, operation, items }), call);
  }
}
