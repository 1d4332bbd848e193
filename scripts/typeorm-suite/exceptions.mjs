// Tests of TypeORM's that cannot pass with a cache that is never stale, each with the reason. A test that is not named here and
// fails only with the cache is a fault of the cache.

const QUERY_CACHE =
  "These expect TypeORM's own query cache to serve rows that are no longer what the database holds. Where this cache serves, it is not asked";

const AFTERWARDS =
  "These come after one of those, which has failed on one SQLite driver while it was at work on the only connection of the other";

const CHANCE = "These order rows by RAND(), so that no two reads need to find the same; the cache passes them on";

export const EXCEPTIONS = [
  { reason: QUERY_CACHE, tests: /^functional\/cache\/custom-cache-provider\.test > [^"]* > should cache results / },
  {
    reason: QUERY_CACHE,
    tests: /^functional\/query-builder\/cache\/query-builder-cache\.test > [^"]* > should cache results /,
  },
  {
    reason: AFTERWARDS,
    tests:
      /^functional\/query-builder\/cache\/query-builder-cache\.test > .* > "before each" hook for "should cache results /,
  },
  {
    reason: QUERY_CACHE,
    tests: /^functional\/repository\/find-options\/repository-find-options\.test > .* should cache results properly/,
  },
  { reason: QUERY_CACHE, tests: /^github-issues\/4277\/issue-4277\.test > .* should count correctly when / },
  {
    reason: QUERY_CACHE,
    tests: /^github-issues\/9910\/issue-9910\.test > .* should automatically cache if alwaysEnabled/,
  },
  { reason: CHANCE, tests: /^github-issues\/813\/issue-813\.test > .* should work perfectly/ },
];
