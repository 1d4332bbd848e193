import { groupBy } from "../../../core/group-by";
import { StoreError } from "../../../errors";
import type { ClusterConnection } from "./cluster-connection";
import { RedisSubscriber, type RedisSubscriberOptions } from "../redis-subscriber";
import type { PlacedChannel } from "../spread";

/** What is heard at one node. */
interface Ear {
  readonly address: string;
  readonly channels: readonly PlacedChannel[];
  readonly subscriber: RedisSubscriber;
  isUp: boolean;
  confirmedAt: number;
}

/**
 * Hears channels, each at the node that serves its part, to which everybody sends, and follows them. A cluster hands messages on from node
 * to node as well, but then an answered PING would not say that those which were sent before have come in.
 */
export class ClusterSubscriber {
  /** Resolves when all channels are heard for the first time. */
  readonly first: Promise<void>;
  private settle = (): void => undefined;
  private ears: Ear[] = [];
  private isUp = false;
  private closed = false;

  constructor(
    private readonly cluster: ClusterConnection,
    private readonly channels: readonly PlacedChannel[],
    private readonly options: Omit<RedisSubscriberOptions, "channels">,
  ) {
    this.first = new Promise((resolve) => (this.settle = resolve));
    cluster.onFollowed(() => this.follow());
    this.follow();
  }

  close(): void {
    this.closed = true;
    for (const { subscriber } of this.ears) subscriber.close();
  }

  private follow(): void {
    if (this.closed) return;
    const byAddress = groupBy(this.channels, ({ part }) => this.cluster.ownerOf(part) ?? "");
    const kept = this.ears.filter(({ address, channels }) => isSame(byAddress.get(address), channels));
    if (kept.length === byAddress.size && kept.length === this.ears.length) return;
    for (const ear of this.ears) if (!kept.includes(ear)) ear.subscriber.close();
    const opened = Array.from(byAddress, ([address, channels]) =>
      kept.some((ear) => ear.address === address) ? [] : (this.open(address, channels) ?? []),
    ).flat();
    this.ears = [...kept, ...opened];
    this.down(new StoreError("STORE_UNAVAILABLE", "The channel is at another node of the cluster now."));
    this.look();
  }

  private open(address: string, channels: readonly PlacedChannel[]): Ear | undefined {
    const source = this.cluster.sourceAt(address);
    if (source === undefined) return undefined;
    const { listener } = this.options;
    const isCurrent = () => this.ears.includes(ear) && !this.closed;
    const subscriber = new RedisSubscriber(source, {
      ...this.options,
      channels: channels.map(({ channel }) => channel),
      listener: {
        message: (text) => isCurrent() && listener.message(text),
        up: () => {
          ear.isUp = true;
          this.look();
        },
        down: (cause) => {
          if (!isCurrent()) return;
          ear.isUp = false;
          ear.confirmedAt = -Infinity;
          this.down(cause);
        },
        confirmed: (at) => void this.confirm(ear, at),
      },
    });
    const ear: Ear = { address, channels, subscriber, isUp: false, confirmedAt: -Infinity };
    return ear;
  }

  /** Meanwhile a channel may have become another node's, to which others send already. */
  private async confirm(ear: Ear, at: number): Promise<void> {
    const served = await Promise.all(ear.channels.map(({ part }) => this.cluster.isServedBy(part, ear.address)));
    if (!served.every(Boolean) || !this.ears.includes(ear) || this.closed) return;
    ear.confirmedAt = at;
    const confirmedAt = Math.min(...this.ears.map((one) => one.confirmedAt));
    if (this.isUp && Number.isFinite(confirmedAt)) this.options.listener.confirmed(confirmedAt);
  }

  private look(): void {
    const heard = this.ears.filter(({ isUp }) => isUp).flatMap(({ channels }) => channels);
    if (this.isUp || heard.length < this.channels.length) return;
    this.isUp = true;
    this.options.listener.up();
    this.settle();
  }

  private down(cause: unknown): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.options.listener.down(cause);
  }
}

function isSame(left: readonly PlacedChannel[] | undefined, right: readonly PlacedChannel[]): boolean {
  return left?.length === right.length && left.every((one, at) => one === right[at]);
}
