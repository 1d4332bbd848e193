export { attachCache } from "./attach-cache";
export { CoherentCache } from "./coherent-cache";
export {
  CacheConfigError,
  CacheError,
  CacheStateError,
  KeyBuilderError,
  LockError,
  StoreError,
  type CacheErrorCode,
  type CacheErrorDetails,
} from "./errors";
export type { Operation, OutsideChange, RowKey } from "./core/change";
export type {
  BypassReason,
  CacheEventName,
  CacheEvents,
  CacheStats,
  CheckOutcome,
  GapEvent,
  InvalidatedEvent,
  MissReason,
  StoreState,
  UndecidedReason,
  UnfilledReason,
  WritePath,
} from "./events";
export type { ChangeFeed, ChangeSink, WatchedTable } from "./feed/change-feed";
export type { Rejection } from "./feed/change-message";
export { PollingFeed, type PolledConnection, type PollingFeedOptions } from "./feed/polling-feed";
export type { PolledDialect } from "./feed/polling-triggers";
export { PostgresFeed, type PostgresClient, type PostgresFeedOptions } from "./feed/postgres-feed";
export { RedisStreamFeed, type RedisStreamFeedOptions } from "./feed/redis-stream-feed";
export { zstd, type Compressor } from "./codec/payload-packing";
export type { CachedEntity } from "./metadata/cached-entity";
export { CacheKey, Cached } from "./metadata/decorators";
export type {
  CachedOptions,
  CacheLogger,
  CacheOptions,
  ChannelOptions,
  CompressionOptions,
  Consistency,
  Duration,
  EntityCacheOptions,
  EntryKind,
  Explanation,
  KeyBuilder,
  KeyParts,
  NearOptions,
  SingleFlightScope,
  Strategy,
  ViewSource,
} from "./options";
export { CachedRepository } from "./read/cached-repository";
export { MemoryStore, type MemoryStoreOptions } from "./store/memory-store";
export type { BreakerOptions } from "./store/redis/breaker-options";
export { RedisStore, type RedisStoreOptions } from "./store/redis/redis-store";
export type {
  CheckRequest,
  FillRequest,
  FlightRequest,
  ReadAnswer,
  ReadRequest,
  Store,
  StoreContext,
  StoreListener,
  UnlockAnswer,
  UnlockRequest,
  WriteThroughRequest,
} from "./store/store";
export type { EventMessages } from "./telemetry/event-channels";
export type {
  FillOperation,
  InvalidateOperation,
  LockOperation,
  OperationName,
  Operations,
  ReadOperation,
  StoreOperation,
  Traced,
  TracedOperation,
  UnlockOperation,
  WriteOperation,
} from "./telemetry/operations";
export type { ChangeFeeds } from "./write/change-feeds";
