import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { placed } from "../../../src/core/stripe";
import { anyRowTag, barrierTag, epochTag, group, tagName, valueTag } from "../../../src/core/tag";
import { ClusterKeys } from "../../../src/store/redis/cluster/cluster-keys";
import { SLOTS, slotOf } from "../../../src/store/redis/key-slot";
import { serverIdOf } from "../../../src/store/redis/redis-keys";
import { isOfChannels, Spread } from "../../../src/store/redis/spread";

const spread = Spread.overCluster();
const table = fc.string({ minLength: 1 }).map(group);

describe("slotOf", () => {
  it("is what the specification says", () => {
    expect(slotOf("123456789")).toBe(0x31c3);
    expect(slotOf("")).toBe(0);
  });
});

describe("a spread over a cluster", () => {
  it("gives each part of a table a range of slots of its own, so that nodes get equal shares", () => {
    fc.assert(
      fc.property(table, (of) => {
        const ranges = spread
          .partsOf(of)
          .map((part) => Math.floor((slotOf(spread.hashTagOf(part)) * spread.stripes) / SLOTS));
        expect(ranges).toEqual(Array.from({ length: spread.stripes }, (_, at) => at));
      }),
    );
  });

  it("has all of an entry that is looked up by a value in one part", () => {
    fc.assert(
      fc.property(table, fc.string(), fc.string(), (of, key, text) => {
        const own = valueTag(of, tagName(["id"]), [text]);
        const { group: place, tags } = placed(of, key, [epochTag(of), own], spread.stripes);
        expect(new Set([place, ...tags.map((tag) => spread.partOf(tag))])).toEqual(new Set([place]));
      }),
    );
  });

  it("makes a writer who does not know the rows touch every part, and one who does only those of his rows", () => {
    const touched = (...tags: string[]) => spread.touchedBy(tags);
    expect([...touched(epochTag("g")).values()].flat()).toEqual(spread.partsOf("g").map((part) => epochTag(part)));
    expect([...touched(barrierTag("g")).values()].flat()).toEqual(spread.partsOf("g").map((part) => barrierTag(part)));
    expect([...touched(anyRowTag("g"), "g|id=1", "g|id=1").values()].flat().sort()).toEqual([anyRowTag("g"), "g|id=1"]);
    expect(touched("g|id=1").size).toBe(1);
  });

  it("has a channel for each part, of which the first is the one that others know", () => {
    expect(Spread.whole.channels("db").map(({ channel }) => channel)).toEqual(["db:changes"]);
    const channels = spread.channels("db");
    expect(channels[0].channel).toBe("db:changes");
    expect(new Set(channels.map(({ channel }) => channel)).size).toBe(spread.stripes);
    expect(new Set(channels.map(({ part }) => part)).size).toBe(spread.stripes);
    expect(channels.every(({ part }) => isOfChannels(part))).toBe(true);
    fc.assert(fc.property(table, (of) => expect(spread.partsOf(of).some(isOfChannels)).toBe(false)));
  });

  it("does not guess in which part an epoch is meant", () => {
    expect(() => spread.partOf(epochTag("g"))).toThrow("no part was named");
    expect(() => spread.partOf(barrierTag("g"))).toThrow("no part was named");
  });

  it("makes keys that say for which server they are, and no two alike", () => {
    const id = serverIdOf("some run");
    const namespace = fc.string();
    fc.assert(
      fc.property(namespace, table, fc.string(), (name, of, key) => {
        const there = new ClusterKeys(name, spread, () => id);
        const nowhere = new ClusterKeys(name, spread, () => undefined);
        for (const part of spread.partsOf(of)) {
          const hashTag = spread.hashTagOf(part);
          expect(there.addressOf(there.entry(part, key))).toEqual({ hashTag, serverId: id });
          expect(nowhere.addressOf(nowhere.entry(part, key))).toEqual({ hashTag, serverId: undefined });
        }
        const all = spread
          .partsOf(of)
          .flatMap((part) => [there.guard(part), there.entry(part, key), there.tag(epochTag(part))]);
        expect(new Set(all).size).toBe(all.length);
      }),
      { numRuns: 30 },
    );
  });
});
