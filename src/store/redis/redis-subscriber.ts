import { type Clock, systemClock } from "../../core/clock";
import { StoreError } from "../../errors";
import type { StoreListener } from "../store";
import { ProbePauses, type PauseSettings } from "./probe-pauses";
import { connectionOptions, limitHandshakes, type RedisClient, type RedisLike } from "./redis-client";
import { isForbidden } from "./refusals";
import { withoutValues } from "./without-values";

/** What a connection that hears needs to know; times in milliseconds. */
export interface RedisSubscriberOptions {
  readonly channels: readonly string[];
  readonly listener: StoreListener;
  /** Between two PINGs, and within which each must be answered. */
  readonly heartbeat: number;
  /** For one call of the store. */
  readonly timeout: number;
  /** How long it waits before it connects again. */
  readonly pauses: PauseSettings;
  readonly clock?: Clock;
}

/**
 * A connection that hears channels. It is asked for a sign of life all the time: a cable that was pulled closes nothing, and
 * the answer to a PING comes after every message that the server had sent on the connection before.
 */
export class RedisSubscriber {
  /** Resolves when they are heard for the first time. */
  readonly first: Promise<void>;
  private readonly client: RedisClient;
  private readonly timer: NodeJS.Timeout;
  private readonly endHandshake: () => void;
  private isUp = false;
  private closed = false;
  private lastError: unknown;
  /** When the oldest PING was sent that has not been answered. */
  private asked: number | undefined;
  private readonly channels: readonly string[];
  private readonly listener: StoreListener;
  private readonly heartbeat: number;
  private readonly pauses: ProbePauses;
  private readonly clock: Clock;

  constructor(source: RedisLike, { channels, listener, heartbeat, timeout, pauses, clock }: RedisSubscriberOptions) {
    this.channels = channels;
    this.listener = listener;
    this.heartbeat = heartbeat;
    this.clock = clock ?? systemClock;
    this.pauses = new ProbePauses(pauses);
    const client = source.duplicate(connectionOptions(timeout, () => this.pauses.next()));
    this.client = client;
    let settle = (): void => undefined;
    this.first = new Promise((resolve) => (settle = resolve));
    this.endHandshake = limitHandshakes(client, timeout);
    client.on("ready", () => void this.subscribe().then(settle));
    client.on("message", (_channel, text) => listener.message(text));
    client.on("close", () => this.lose());
    client.on("error", (error) => {
      this.lastError = withoutValues(error);
    });
    this.timer = setInterval(() => this.beat(), heartbeat).unref();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.endHandshake();
    this.client.disconnect();
  }

  private async subscribe(): Promise<void> {
    const since = this.clock.monotonic();
    try {
      await this.client.subscribe(...this.channels);
    } catch (error) {
      this.lastError = withoutValues(error);
      // A server that refuses is not asked again; one that went away is.
      if (!this.closed && isForbidden(error)) this.listener.down(error);
      return;
    } finally {
      this.endHandshake();
    }
    if (this.closed) return;
    this.isUp = true;
    this.listener.up();
    this.listener.confirmed(since);
  }

  private beat(): void {
    const now = this.clock.monotonic();
    if (!this.isUp) return;
    if (this.asked !== undefined) {
      if (now - this.asked < this.heartbeat) return;
      // The end of a connection to nowhere takes its time; that nothing comes in is known now.
      this.lastError = new StoreError(
        "STORE_TIMEOUT",
        `The channel was silent for ${this.heartbeat} ms (option \`channel.heartbeat\`).`,
      );
      this.lose();
      this.client.disconnect(true);
      return;
    }
    this.asked = now;
    this.client.ping().then(
      () => {
        if (this.asked !== now) return;
        this.asked = undefined;
        this.listener.confirmed(now);
      },
      () => undefined,
    );
  }

  private lose(): void {
    this.endHandshake();
    this.asked = undefined;
    if (!this.isUp || this.closed) return;
    this.isUp = false;
    this.pauses.lost();
    this.listener.down(
      this.lastError ?? new StoreError("STORE_UNAVAILABLE", "The connection to the channel has ended."),
    );
    this.lastError = undefined;
  }
}
