import type { DataSource } from "typeorm";
import type { Change, OutsideChange } from "../core/change";
import { isBarrier, type Tag } from "../core/tag";
import { CacheConfigError } from "../errors";
import { ChangeChannel } from "../feed/change-channel";
import type { Schema } from "../metadata/schema";
import type { NearStore } from "../near-cache/near-store";
import type { CacheLogger } from "../options";
import type { Store } from "../store/store";
import type { CacheReporter } from "../telemetry/cache-reporter";
import { changesOf } from "./change-of";
import { ChangeFeeds } from "./change-feeds";
import type { Announce } from "./commit-protocol";
import { OutsideWrites } from "./outside-writes";
import type { PendingInvalidations } from "./pending-invalidations";
import { sendInvalidation } from "./send-invalidation";

/** The channel's options, resolved; times in milliseconds. */
export interface ChannelSettings {
  readonly secret: string | undefined;
  readonly heartbeat: number;
}

/** What is needed of the cache around it. */
export interface ChangeHubOptions {
  readonly dataSource: DataSource;
  readonly store: Store;
  readonly namespace: string;
  /** Undefined: nothing is told, and nothing is heard. */
  readonly channel: ChannelSettings | undefined;
  /** Names this process. */
  readonly origin: string;
  /** The copies of this process, if it keeps any. */
  readonly near: Pick<NearStore, "drop" | "clear"> | undefined;
  readonly pending: () => PendingInvalidations;
  readonly schema: () => Schema | undefined;
  readonly reporter: CacheReporter;
  readonly logger: CacheLogger;
  readonly transactions: () => { readonly open: boolean; readonly begun: number };
}

/** Who sends a message from outside has no name. */
const OUTSIDE = "outside";

/** Where changes meet: it tells others of what this cache invalidates, and invalidates what others tell of. */
export class ChangeHub {
  readonly feeds: ChangeFeeds;
  private readonly channel: ChangeChannel | undefined;
  private readonly asked: OutsideWrites;

  constructor(private readonly options: ChangeHubOptions) {
    const { channel, store, origin, reporter, logger, near } = options;
    // Everybody hears the same message.
    this.asked = new OutsideWrites({
      ...options,
      announce: undefined,
      cause: "a message from outside",
      path: "message",
    });
    const warn = logger.warn.bind(logger);
    const announce: Announce = (tags, told) => this.announce(tags, told);
    this.feeds = new ChangeFeeds({ ...options, announce, warn, cause: "a change feed", path: "feed" });
    if (channel === undefined || store.listen === undefined) return;
    this.channel = new ChangeChannel(origin, channel.secret, {
      told: (change, by, sequence) => {
        // Its own calls of the store have dropped what this process has changed, and it may have got it anew since.
        if (by !== origin) near?.drop(change.tags);
        reporter.emit("invalidated", { ...change, origin: by, sequence, own: by === origin });
      },
      locked: (tags, by) => {
        if (by !== origin) near?.drop(tags);
      },
      asked: ({ table, operation, rows }) => {
        if (!this.asked.knows(table)) return reporter.emit("rejected", { why: "unknown" });
        void this.obey({ table, operation, rows });
      },
      rejected: (why) => {
        // It may be from a cache of a later version.
        if (why === "unknown") near?.clear();
        reporter.emit("rejected", { why });
      },
      gap: (reason, by) => {
        near?.clear();
        reporter.emit("gap", { reason, origin: by });
      },
      lost: (cause) => logger.warn("Nothing is heard of other processes' changes until the channel is back.", cause),
      confirmed: () => undefined,
    });
  }

  /** Makes the messages of what was invalidated; see `Announce`. */
  readonly announce = (tags: Iterable<Tag>, told?: readonly Change[]): ReadonlyMap<string, string> | undefined => {
    const schema = this.options.schema();
    return schema === undefined ? undefined : this.channel?.encode(changesOf(schema, tags, told));
  };

  /** Makes the messages that tell of locked tags, if somebody trusts his copies. */
  readonly announceLock = (tags: readonly Tag[]): ReadonlyMap<string, string> | undefined =>
    this.isTrusting() ? this.channel?.encodeLock(tags.filter((tag) => !isBarrier(tag))) : undefined;

  /** Begins to hear of the others. That nothing comes in is known within a heartbeat, so there are several looks in each. */
  async listen(): Promise<void> {
    const { store, channel } = this.options;
    if (this.channel === undefined && this.isTrusting()) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        'near.mode "trust" needs to hear of what others write: leave the option channel on, take a store that has one, or use "verify".',
      );
    }
    if (this.channel !== undefined && channel !== undefined) await store.listen?.(this.channel, channel.heartbeat / 3);
  }

  private isTrusting(): boolean {
    const models = this.options.schema()?.models ?? [];
    return models.some(({ settings }) => settings.near?.mode === "trust");
  }

  private async obey(change: OutsideChange): Promise<void> {
    try {
      const tags = await this.asked.changed([change]);
      this.options.reporter.emit("invalidated", { ...change, tags, origin: OUTSIDE, sequence: 0, own: false });
    } catch {
      // It waits among the pending invalidations, and has been reported.
    }
  }

  /** Invalidates by hand. */
  async invalidate(tags: readonly Tag[]): Promise<void> {
    const { store, reporter, pending } = this.options;
    try {
      await sendInvalidation({ store, reporter, announce: this.announce }, { tags, cause: "by hand", path: "by-hand" });
    } catch (error) {
      pending().add(tags);
      throw error;
    }
  }
}
