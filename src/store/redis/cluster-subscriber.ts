import { StoreError } from "../../errors";
import type { ClusterConnection } from "./cluster-connection";
import { RedisSubscriber, type RedisSubscriberOptions } from "./redis-subscriber";

/**
 * Hears a channel at the node that serves a part, to which everybody sends, and follows it. A cluster hands messages on from node to node
 * as well, but then an answered PING would not say that those which were sent before have come in.
 */
export class ClusterSubscriber {
  /** Resolves when the channel is heard for the first time. */
  readonly first: Promise<void>;
  private settle = (): void => undefined;
  private current: { readonly address: string; readonly subscriber: RedisSubscriber } | undefined;
  private isUp = false;
  private closed = false;

  /** @param part the one whose node hears what is sent */
  constructor(
    private readonly cluster: ClusterConnection,
    private readonly part: string,
    private readonly options: RedisSubscriberOptions,
  ) {
    this.first = new Promise((resolve) => (this.settle = resolve));
    cluster.onFollowed(() => this.follow());
    this.follow();
  }

  close(): void {
    this.closed = true;
    this.current?.subscriber.close();
  }

  private follow(): void {
    const address = this.cluster.ownerOf(this.part);
    if (this.closed || address === undefined || address === this.current?.address) return;
    const source = this.cluster.sourceAt(address);
    if (source === undefined) return;
    this.current?.subscriber.close();
    if (this.isUp) this.down(new StoreError("STORE_UNAVAILABLE", "The channel is at another node of the cluster now."));
    const { listener } = this.options;
    const isCurrent = () => this.current?.subscriber === subscriber && !this.closed;
    const subscriber: RedisSubscriber = new RedisSubscriber(source, {
      ...this.options,
      listener: {
        message: (text) => isCurrent() && listener.message(text),
        up: () => {
          if (!isCurrent()) return;
          this.isUp = true;
          listener.up();
        },
        down: (cause) => isCurrent() && this.down(cause),
        // Meanwhile it may have become another node's, to which others send already.
        confirmed: (at) =>
          void this.cluster.isServedBy(this.part, address).then((isServed) => {
            if (isServed && isCurrent() && this.isUp) listener.confirmed(at);
          }),
      },
    });
    this.current = { address, subscriber };
    void subscriber.first.then(this.settle);
  }

  private down(cause: unknown): void {
    this.isUp = false;
    this.options.listener.down(cause);
  }
}
