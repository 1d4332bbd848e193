/** What the cases are called, in the report and by those who set aims. */
export const NAMES = {
  nothing: "nothing: what measuring takes",
  ping: "raw PING",
  get: "raw GET + JSON.parse",
  pipelinedGet: "raw GET + JSON.parse, auto-pipelining",
  mget: "raw MGET of the keys of a hit",
  mgetDecoded: "raw MGET + decoding",
  pipelinedMget: "raw MGET of the keys of a hit, auto-pipelining",
  pipelinedMgetDecoded: "raw MGET + decoding, auto-pipelining",
  mgetOfTags: "raw MGET of the tags that verify asks for",
  redisHit: "hit, RedisStore",
  verifyHit: "hit, near verify",
  trustHit: "hit, near trust",
  trustHitOfFew: "hit, near trust, of 10 rows",
  memoryHit: "hit, MemoryStore",
  ownCache: "TypeORM's own ioredis cache",
  bentocache: "bentocache around findOneBy",
  cacheDedupe: "async-cache-dedupe around findOneBy",
  sqlite: "findOneBy, SQLite in memory",
  postgres: "findOneBy, PostgreSQL",
  mariadb: "findOneBy, MariaDB",
  save: "save, plain",
  saveInvalidate: "save, invalidate",
  saveWriteThrough: "save, write-through",
} as const;

/** Heads the saves in the report. */
export const SAVES = "one row on PostgreSQL";
