import { afterEach, describe, expect, it, jest } from "@jest/globals";
import { setImmediate } from "node:timers/promises";
import { encodeEntry } from "../../src/core/entry";
import { RedisStore } from "../../src/store/redis/redis-store";
import { until } from "../support/redis-server";
import { FakeRedis, pending } from "./fake-redis";
import { answers, clientOf, closeAll, fill, opened, openStore, outcome, REQUEST, serverWith, TAG } from "./redis-world";

afterEach(closeAll);

describe("the identity of the server", () => {
  it("keeps what a restart brings back from disk from being served", async () => {
    const server = await serverWith("--appendonly", "yes", "--appendfsync", "always");
    const client = clientOf(server);
    const { store, states } = await openStore(client);
    await fill(store, "before the restart");
    expect(await outcome(store)).toBe("before the restart");
    await client.set("other data", "kept");

    await server.restart();
    await until(() => states.join() === "up,down,up");
    expect(await client.get("other data")).toBe("kept");
    expect(await client.keys("db:*:e:k")).toHaveLength(1);
    expect(await client.keys("db:*:t:id=1")).toHaveLength(1);
    expect(await outcome(store)).toBe("absent");
    expect(await outcome((await openStore(client)).store)).toBe("absent");
    await fill(store, "after the restart");
    expect(await outcome(store)).toBe("after the restart");
  });

  it("begins with a quarantine on every server", async () => {
    const server = await serverWith();
    const { store, states } = await openStore(clientOf(server), { lockTtl: 500 });
    expect(await store.prepare([TAG], 1000)).toEqual([""]);
    await until(() => answers(store));
    await server.restart();
    await until(() => states.join() === "up,down,up");
    expect(await store.prepare([TAG], 1000)).toEqual([""]);
  });

  it("is the same after a connection was cut, so nothing is lost", async () => {
    const server = await serverWith();
    const client = clientOf(server);
    const { store, states } = await openStore(client);
    await fill(store, "value");
    await client.client("KILL", "TYPE", "normal", "SKIPME", "yes");
    await until(() => states.join() === "up,down,up");
    expect(await outcome(store)).toBe("value");
  });

  it("is asked for before anything else, on each connection", async () => {
    const fake = new FakeRedis();
    const info = pending<string>();
    fake.answers.info = () => info.promise;
    fake.answers.evalsha = () => Promise.resolve([]);
    fake.answers.mget = () => Promise.resolve([null]);
    const store = new RedisStore(fake);
    const open = store.open({ namespace: "db", lockTtl: 40, timeout: 1000 }, []);
    fake.emit("ready");
    await expect(store.read([REQUEST])).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(fake.sent).toEqual(["info"]);
    info.resolve("# Server\r\nrun_id:abc\r\n");
    await open;
    expect(await store.read([REQUEST])).toEqual([{ outcome: "miss", why: "absent" }]);
    fake.emit("close");
    await expect(store.read([REQUEST])).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await store.close();
  });

  it("is not taken from a connection that was lost while it was asked for", async () => {
    const fake = new FakeRedis();
    const [first, second] = [pending<string>(), pending<string>()];
    const infos = [first.promise, second.promise];
    fake.answers.info = () => infos.shift()!;
    const store = new RedisStore(fake);
    const open = store.open({ namespace: "db", lockTtl: 40, timeout: 1000 }, []);
    fake.emit("ready");
    fake.emit("close");
    fake.emit("ready");
    first.resolve("run_id:old");
    await setImmediate();
    await expect(store.read([REQUEST])).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    second.resolve("run_id:new");
    await open;
    await store.close();
  });

  it("makes a reply worthless that comes after the connection was another one", async () => {
    const fake = new FakeRedis();
    fake.answers.info = () => Promise.resolve("run_id:abc");
    const reply = pending<string[]>();
    fake.answers.mget = () => reply.promise;
    const store = new RedisStore(fake);
    const open = store.open({ namespace: "db", lockTtl: 40, timeout: 1000 }, []);
    fake.emit("ready");
    await open;
    const read = store.read([REQUEST]);
    fake.emit("close");
    fake.emit("ready");
    await setImmediate();
    const entry = encodeEntry({ query: "q", rowTags: [], tokens: ["t", "u"], payload: "of the server before" });
    reply.resolve([entry, "t", "u"]);
    await expect(read).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await store.close();
  });

  it.each(["# Server\r\nredis_version:0\r\n", ""])("is demanded: INFO that says %j is unsupported", async (text) => {
    const fake = new FakeRedis();
    fake.answers.info = () => Promise.resolve(text);
    const store = new RedisStore(fake);
    const open = store.open({ namespace: "db", lockTtl: 40, timeout: 1000 }, []);
    fake.emit("ready");
    await expect(open).rejects.toMatchObject({ name: "StoreError", code: "STORE_UNSUPPORTED" });
    expect(fake.reconnects).toEqual([false]);
  });

  it("is demanded: a user who may not call INFO is told so", async () => {
    const warn = jest.spyOn(console, "warn").mockImplementation(() => undefined);
    opened.push(() => warn.mockRestore());
    const server = await serverWith();
    await clientOf(server).acl("SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-info");
    const client = clientOf(server, { username: "app", password: "secret" });
    await expect(openStore(client)).rejects.toMatchObject({
      code: "STORE_UNSUPPORTED",
      message: expect.stringContaining("INFO"),
    });
  });
});
