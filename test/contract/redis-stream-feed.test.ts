import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { createHmac } from "node:crypto";
import type Redis from "ioredis";
import type { OutsideChange } from "../../src/core/change";
import type { ChangeSink } from "../../src/feed/change-feed";
import { RedisStreamFeed, type RedisStreamFeedOptions } from "../../src/feed/redis-stream-feed";
import { tcpSwitch } from "../support/tcp-switch";
import { type RedisServer, until } from "../support/redis-server";
import { clientOf, closeAll, opened, serverWith } from "./redis-world";

const STREAM = "shop:changes:stream";

/** Takes what a feed hands over; the test says whether it does. */
function sinkOf() {
  const ids: unknown[] = [];
  const rejected: string[] = [];
  const troubles: unknown[] = [];
  const state = { refuses: false, lost: 0, asked: 0 };
  const sink: ChangeSink = {
    namespace: "shop",
    tables: [],
    changed: async (changes: readonly OutsideChange[]) => {
      state.asked += 1;
      if (state.refuses) throw new Error("away");
      for (const { rows } of changes) ids.push(rows?.[0]?.[""]);
    },
    lost: async () => {
      if (state.refuses) throw new Error("away");
      state.lost += 1;
    },
    rejected: (why) => void rejected.push(why),
    warn: (_message, cause) => void troubles.push(cause),
  };
  return { ids, rejected, troubles, state, sink };
}

describe("the stream feed", () => {
  let server: RedisServer;
  let client: Redis;
  beforeEach(async () => {
    server = await serverWith();
    client = clientOf(server);
  });
  afterEach(closeAll);

  async function start(options: RedisStreamFeedOptions = {}, by = client) {
    const taken = sinkOf();
    const feed = new RedisStreamFeed(by, options);
    opened.push(() => feed.stop());
    await feed.start(taken.sink);
    return { ...taken, feed };
  }
  const add = (...ids: number[]) =>
    Promise.all(ids.map((id) => client.xadd(STREAM, "*", "message", JSON.stringify({ table: "product", id }))));
  const pending = async () => (await client.xpending(STREAM, "coherent"))[0];
  const ready = () => until(async () => (await client.exists(STREAM)) === 1);

  it("hands over each message once it is there, and confirms it", async () => {
    const { ids } = await start();
    await ready();
    for (const id of [1, 2, 3]) {
      await add(id);
      await until(() => ids.includes(id));
    }
    expect(ids).toEqual([1, 2, 3]);
    await until(async () => (await pending()) === 0);
  });

  it("takes what came before it, and what came while no process was there", async () => {
    await add(1, 2);
    const first = await start();
    await until(() => first.ids.length === 2);
    expect(first.state.lost).toBe(1); // What was there before the group was, nobody knows.
    await first.feed.stop();
    await add(3, 4);
    const second = await start();
    await until(() => second.ids.length === 2);
    expect(second.ids).toEqual([3, 4]);
    expect(second.state.lost).toBe(0);
  });

  it("shares the messages among processes", async () => {
    const all = await Promise.all([start(), start(), start()]);
    await ready();
    const sent = Array.from({ length: 500 }, (_, id) => id);
    await add(...sent);
    await until(() => all.reduce((sum, { ids }) => sum + ids.length, 0) === 500);
    expect(all.flatMap(({ ids }) => ids).sort((a, b) => Number(a) - Number(b))).toEqual(sent);
  });

  it("hands over again what was not taken, and confirms nothing before", async () => {
    const { ids, state, troubles } = await start();
    await ready();
    state.refuses = true;
    await add(1);
    await until(() => state.asked > 2);
    expect(await pending()).toBe(1);
    expect(troubles).toHaveLength(1);
    state.refuses = false;
    await until(() => ids.length > 0);
    expect(ids).toEqual([1]);
    await until(async () => (await pending()) === 0);
  });

  it("leaves what a process has not finished to another", async () => {
    const dying = await start({ claimAfter: 50 });
    await ready();
    dying.state.refuses = true;
    await add(1, 2);
    await until(() => dying.state.asked > 0);
    await dying.feed.stop();
    expect(Number(await pending())).toBeGreaterThan(0);
    const { ids } = await start({ claimAfter: 50 });
    await until(() => ids.length === 2);
    expect([...ids].sort()).toEqual([1, 2]);
    await until(async () => (await pending()) === 0);
  });

  it("says that something is lost if the stream was cut before it was taken", async () => {
    const first = await start();
    await ready();
    await add(1);
    await until(() => first.ids.length === 1);
    await first.feed.stop();
    await add(2, 3, 4);
    await client.xtrim(STREAM, "MAXLEN", 1);
    const second = await start();
    await until(() => second.ids.length === 1);
    expect(second.ids).toEqual([4]);
    expect(second.state.lost).toBe(1);
    await second.feed.stop();
    await add(5);
    await client.xtrim(STREAM, "MAXLEN", 0);
    const third = await start();
    await until(() => third.state.lost === 1);
  });

  it("says so again until it was heard", async () => {
    const first = await start();
    await ready();
    await add(1);
    await until(() => first.ids.length === 1);
    await first.feed.stop();
    await add(2, 3);
    await client.xtrim(STREAM, "MAXLEN", 1);
    const dying = await start();
    dying.state.refuses = true;
    await until(() => dying.troubles.length > 0);
    await dying.feed.stop();
    const second = await start();
    await until(() => second.ids.length === 1);
    expect(second.state.lost).toBe(1);
  });

  it("says nothing if the stream was cut after it was taken", async () => {
    const { ids, state, feed } = await start();
    await ready();
    await add(1, 2, 3);
    await until(() => ids.length === 3);
    await until(async () => (await pending()) === 0);
    const { lost } = state;
    await client.xtrim(STREAM, "MAXLEN", 0);
    await add(4);
    await until(() => ids.length === 4);
    await feed.stop();
    await client.xtrim(STREAM, "MAXLEN", 0);
    const second = await start();
    await add(5);
    await until(() => second.ids.length === 1);
    expect([state.lost - lost, second.state.lost]).toEqual([0, 0]);
  });

  it("says so if a message is gone that another process had taken and not finished", async () => {
    const dying = await start({ claimAfter: 50 });
    await ready();
    dying.state.refuses = true;
    await add(1);
    await until(() => dying.state.asked > 0);
    await dying.feed.stop();
    await client.xtrim(STREAM, "MAXLEN", 0);
    const { state } = await start({ claimAfter: 50 });
    await until(() => state.lost === 1);
    await until(async () => (await pending()) === 0);
  });

  it("says so if the group is gone, and goes on", async () => {
    const { ids, state } = await start();
    await ready();
    await until(() => state.lost === 1);
    await client.flushall();
    await until(() => state.lost === 2);
    await ready();
    await add(7);
    await until(() => ids.length === 1);
  });

  it("goes on after its connection was cut, its server killed, its cable pulled", async () => {
    const cable = await tcpSwitch(server.port);
    opened.push(() => cable.stop());
    const { ids } = await start({}, clientOf(cable));
    await ready();
    cable.cut();
    await add(1);
    await until(() => ids.includes(1));
    await server.kill("SIGKILL");
    await server.restart();
    await until(async () => client.status === "ready");
    await ready();
    await add(2);
    await until(() => ids.includes(2));
    cable.freeze();
    await add(3);
    cable.thaw();
    await until(() => ids.includes(3), 20_000);
  });

  it("counts and confirms what it does not understand", async () => {
    const { ids, rejected } = await start({ secret: "s" });
    await ready();
    const json = JSON.stringify({ table: "product", id: 1 });
    await client.xadd(STREAM, "*", "message", json);
    await client.xadd(STREAM, "*", "other", json);
    await client.xadd(STREAM, "*", "message", `${createHmac("sha256", "s").update(json).digest("hex")} ${json}`);
    await until(() => ids.length === 1);
    expect(rejected).toEqual(["unsigned", "unsigned"]);
    await until(async () => (await pending()) === 0);
  });

  it.each([{ group: "" }, { claimAfter: 0 }, { claimAfter: NaN }, { secret: "" }, { stream: 1 }])(
    "refuses %j",
    (options) => {
      expect(() => new RedisStreamFeed(client, options as never)).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID" }),
      );
    },
  );

  it("refuses what is no client", () => {
    expect(() => new RedisStreamFeed({} as never)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});
