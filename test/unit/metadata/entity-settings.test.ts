import { describe, expect, it } from "@jest/globals";
import type { EntityMetadata } from "typeorm";
import { CacheConfigError } from "../../../src/errors";
import { Cached, CacheKey, cachedOptionsOf, declaredKeysOf, lineage } from "../../../src/metadata/decorators";
import { milliseconds, settingsOf } from "../../../src/metadata/entity-settings";
import type { CacheOptions } from "../../../src/options";

const metadata = (target: EntityMetadata["target"], allEmbeddeds: readonly object[] = []) =>
  ({ name: typeof target === "function" ? target.name : target, target, allEmbeddeds }) as unknown as EntityMetadata;

describe("durations", () => {
  it.each([
    [1, 1],
    [1500.4, 1500],
    ["5", 5],
    ["10m", 600_000],
    ["1.5h", 5_400_000],
    ["2 days", 172_800_000],
    ["90s", 90_000],
  ])("%p is %d milliseconds", (duration, expected) => {
    expect(milliseconds(duration, "ttl")).toBe(expected);
  });

  it.each([
    0,
    -1,
    0.4,
    NaN,
    Infinity,
    "",
    "soon",
    "-5m",
    "10 parsecs",
    null,
    undefined,
    {},
    [],
    5n,
    true,
    "x".repeat(200),
  ])("%p is none, and the message says what would be one", (duration) => {
    expect(() => milliseconds(duration as never, "ttl", 1, "Product")).toThrow(CacheConfigError);
    expect(() => milliseconds(duration as never, "ttl", 1, "Product")).toThrow(
      /^ttl of Product is .*must be at least 1 milliseconds: a number, or a text such as "10m"/s,
    );
  });
});

describe("settings", () => {
  @Cached({ ttl: "1m", strategy: "write-through" })
  @CacheKey(["a", "b"])
  class Parent {
    @CacheKey() a!: string;
  }
  class Child extends Parent {
    @CacheKey() c!: string;
  }
  @Cached({ jitter: 0 })
  class Grandchild extends Child {}
  class Stranger {}

  it("come from the nearest decorated class, keys from all of them", () => {
    expect(lineage(Grandchild)).toEqual([Grandchild, Child, Parent, Object.getPrototypeOf(Object)]);
    expect(cachedOptionsOf(Child)).toEqual({ ttl: "1m", strategy: "write-through" });
    expect(cachedOptionsOf(Grandchild)).toEqual({ jitter: 0 });
    expect(cachedOptionsOf(Stranger)).toBeUndefined();
    expect(declaredKeysOf(Grandchild)).toEqual(["c", "a", ["a", "b"]]);
    expect(declaredKeysOf(Parent)).toEqual(["a", ["a", "b"]]);
  });

  it("defaults, then those of the cache, then the decorator, then those by name", () => {
    const settings = (options: CacheOptions) => settingsOf(metadata(Child), options);
    expect(settings({})).toMatchObject({ strategy: "write-through", ttl: 60_000, negativeTtl: 60_000, jitter: 0.1 });
    expect(settings({ defaults: { ttl: 5, jitter: 0.5 } })).toMatchObject({ ttl: 60_000, jitter: 0.5 });
    expect(settings({ entities: { Child: { ttl: 7, strategy: "invalidate" } } })).toMatchObject({
      strategy: "invalidate",
      ttl: 7,
      // Never longer than what is there lives.
      negativeTtl: 7,
    });
    const own = () => "own";
    const common = () => "common";
    expect(settings({ keyBuilder: common })).toMatchObject({ keyBuilder: common });
    expect(settings({ keyBuilder: common, entities: { Child: { keyBuilder: own } } })).toMatchObject({
      keyBuilder: own,
    });
    expect(settings({ entities: { Child: false } })).toBeUndefined();
    expect(settings({ entities: { Other: {} } })).toMatchObject({ ttl: 60_000 });
  });

  it("are there for what is decorated, named, or everything", () => {
    expect(settingsOf(metadata(Stranger), {})).toBeUndefined();
    expect(settingsOf(metadata("Schema"), {})).toBeUndefined();
    expect(settingsOf(metadata(Stranger), { entities: "decorated" })).toBeUndefined();
    expect(settingsOf(metadata(Stranger), { entities: "all" })).toMatchObject({ ttl: 600_000, keys: [] });
    expect(settingsOf(metadata("Schema"), { entities: { Schema: { keys: ["a", "a", ["a", "b"]] } } })).toMatchObject({
      keys: [["a"], ["a", "b"]],
    });
    // An entity whose name is a property of every object.
    expect(settingsOf(metadata("constructor"), { entities: {} })).toBeUndefined();
  });

  it("keys inside of embedded classes are paths from the entity", () => {
    class Inner {
      @CacheKey() zip!: string;
    }
    CacheKey(["zip", "street"])(Inner);
    const embedded = [
      { type: Inner, propertyPath: "home" },
      { type: Inner, propertyPath: "work.address" },
      { type: "a schema", propertyPath: "x" },
    ];
    expect(settingsOf(metadata(Stranger, embedded), { entities: "all" })?.keys).toEqual([
      ["home.zip"],
      ["home.zip", "home.street"],
      ["work.address.zip"],
      ["work.address.zip", "work.address.street"],
    ]);
  });

  it.each<[CacheOptions, RegExp]>([
    [{ consistency: "relaxed" }, /Child: strategy "write-through" needs the lock.*Use "invalidate"/],
    [{ entities: { Child: { negativeTtl: "2m" } } }, /negativeTtl \(120000 ms\) is longer than ttl \(60000 ms\)/],
    [{ entities: { Child: { jitter: 1 } } }, /jitter is 1, but must be a share from 0 up to, not including, 1/],
    [{ entities: { Child: { strategy: "both" as never } } }, /strategy is 'both'/],
    [{ keyBuilder: "key" as never }, /keyBuilder must be a function/],
  ])("that contradict each other are refused: %j", (options, message) => {
    expect(() => settingsOf(metadata(Child), options)).toThrow(message);
    expect(() => settingsOf(metadata(Child), options)).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", entity: "Child" }),
    );
  });
});
