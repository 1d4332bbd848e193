import type { DataSource } from "typeorm";
import type { CoherentCache } from "../coherent-cache";
import { messageOf } from "../core/message-of";
import { CacheConfigError } from "../errors";
import type { CacheOptions, ResolvedOptions } from "../options";
import type { RedisLike } from "../store/redis/redis-client";
import type { RedisStore } from "../store/redis/redis-store";
import { loadDataSourceFile, type DataSourceFile } from "./data-source-file";
import { library } from "./needed";
import { redisAt, redisLike, type RedisPlace } from "./redis/client";
import type { Terminal } from "./terminal";

type Listen = (event: "error", listener: () => void) => void;

/** What every command takes. */
export interface TargetOptions {
  readonly dataSource?: string;
  readonly redis?: string;
  readonly namespace?: string;
}

/** What a command line is about: a data source, a Redis, or both. */
export class Target {
  private constructor(
    readonly file: DataSourceFile | undefined,
    private readonly given: TargetOptions,
    private readonly terminal: Terminal,
  ) {}

  /** @throws CacheConfigError CONFIG_INVALID */
  static async of(given: TargetOptions, terminal: Terminal): Promise<Target> {
    terminal.secrets.addUrl(given.redis);
    terminal.secrets.addUrl(process.env["REDIS_URL"]);
    const file = given.dataSource === undefined ? undefined : await loadDataSourceFile(given.dataSource);
    if (file !== undefined) hideSecrets(file, terminal);
    const store = file?.cacheOptions?.store;
    if (store !== undefined && store instanceof library().RedisStore) {
      const client = store.source as { readonly on?: Listen; readonly options?: Readonly<Record<string, unknown>> };
      // The client of the application connects by itself; what becomes of it is not what was asked about.
      client.on?.("error", () => undefined);
      for (const name of ["password", "sentinelPassword"]) terminal.secrets.add(client.options?.[name]);
    }
    return new Target(file, given, terminal);
  }

  /** @throws CacheConfigError CONFIG_INVALID without `--dataSource` */
  get dataSource(): DataSource {
    if (this.file !== undefined) return this.file.dataSource;
    throw new CacheConfigError("CONFIG_INVALID", "This needs --dataSource, a module that exports your data source.");
  }

  /** What the application gives to `attachCache()`, with the namespace of the command line. */
  get options(): CacheOptions {
    const { namespace } = this.given;
    return { ...this.file?.cacheOptions, ...(namespace === undefined ? {} : { namespace }), logger: this.logger };
  }

  /** The same with all defaults. Their store is not opened. */
  get resolved(): ResolvedOptions {
    return library().resolvedOptions(this.dataSource, this.options);
  }

  /** @throws CacheConfigError CONFIG_INVALID if nothing says it */
  get namespace(): string {
    if (this.given.namespace !== undefined) return this.given.namespace;
    if (this.file !== undefined) return this.resolved.namespace;
    throw new CacheConfigError(
      "CONFIG_INVALID",
      "This needs --namespace, or --dataSource, whose database the namespace is named after.",
    );
  }

  /** What messages on the channel are signed with: as `cacheOptions` say, else the variable COHERENT_CHANNEL_SECRET. */
  get channelSecret(): string | undefined {
    const { channel } = this.options;
    const secret = (typeof channel === "object" ? channel.secret : undefined) ?? process.env["COHERENT_CHANNEL_SECRET"];
    this.terminal.secrets.add(secret);
    return secret;
  }

  /** The application gives its store a client of a Redis Cluster. */
  get isOnCluster(): boolean | undefined {
    return this.source === undefined ? undefined : this.source.isCluster === true;
  }

  /**
   * That of `--redis`, else of the store in `cacheOptions`, else of REDIS_URL; undefined if none of them is there.
   *
   * @throws CacheConfigError CONFIG_INVALID if it is a cluster, of which one server must be named
   */
  get redis(): RedisPlace | undefined {
    const { redis: url } = this.given;
    if (url !== undefined) return redisAt(url, "--redis");
    const { source } = this;
    if (source !== undefined) {
      if (source.isCluster !== true) return redisLike(source as RedisLike);
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "cacheOptions name a Redis Cluster, and this asks one server: say which node by --redis.",
      );
    }
    const { REDIS_URL } = process.env;
    return REDIS_URL === undefined || REDIS_URL === "" ? undefined : redisAt(REDIS_URL, "REDIS_URL");
  }

  /** Whether there is a Redis, one server or a cluster, that processes share. */
  get hasRedis(): boolean {
    return this.isOnCluster === true || this.redis !== undefined;
  }

  /** @throws CacheConfigError CONFIG_INVALID if nothing says where it is; StoreError if it does not answer */
  async connectedRedis(): Promise<RedisPlace> {
    const { redis } = this;
    if (redis === undefined) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "This needs a Redis: --redis <url>, the variable REDIS_URL, or a RedisStore in the export cacheOptions of --dataSource.",
      );
    }
    await redis.connect();
    return redis;
  }

  /** Connects the data source. */
  async initialize(): Promise<DataSource> {
    const { dataSource } = this;
    try {
      if (!dataSource.isInitialized) await dataSource.initialize();
    } catch (cause) {
      throw new CacheConfigError("CONFIG_INVALID", `The data source cannot be initialised: ${messageOf(cause)}`, {
        cause,
      });
    }
    return dataSource;
  }

  /**
   * The cache as the application has it.
   *
   * @param store redis: the store that all processes share, which must answer; none: one of this process, for what needs no store
   */
  async cache(store: "redis" | "none"): Promise<CoherentCache> {
    const shared = store === "redis" ? await this.store() : undefined;
    await this.initialize();
    const { attachCache, MemoryStore } = library();
    try {
      return await attachCache(this.dataSource, { ...this.options, store: shared ?? new MemoryStore() });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ALREADY_ATTACHED") throw error;
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "The module of --dataSource attaches a cache when it is loaded. Export cacheOptions from it, and attach elsewhere.",
        { cause: error },
      );
    }
  }

  private get source(): RedisStore["source"] | undefined {
    const store = this.file?.cacheOptions?.store;
    return store !== undefined && store instanceof library().RedisStore ? store.source : undefined;
  }

  private async store(): Promise<RedisStore> {
    const { source } = this;
    // A cluster cannot be asked whether it is there by one connection; the store says so soon enough.
    if (this.isOnCluster === true && this.given.redis === undefined) return new (library().RedisStore)(source!);
    const { client } = await this.connectedRedis();
    return new (library().RedisStore)(client);
  }

  private get logger() {
    return { warn: (message: string) => this.terminal.say(`warning: ${message}`) };
  }
}

function hideSecrets({ dataSource, cacheOptions }: DataSourceFile, { secrets }: Terminal): void {
  const { options } = dataSource as { readonly options: object };
  const { replication } = options as { readonly replication?: Record<string, unknown> };
  const places = [options, ...Object.values(replication ?? {}).flat()] as Record<string, unknown>[];
  for (const { password, url } of places) {
    secrets.add(password);
    secrets.addUrl(url);
  }
  const { channel, entrySecret } = cacheOptions ?? {};
  if (typeof channel === "object") secrets.add(channel.secret);
  for (const secret of [entrySecret].flat()) secrets.add(secret);
}
