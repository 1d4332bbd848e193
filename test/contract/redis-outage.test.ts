import { afterEach, describe, expect, it } from "@jest/globals";
import { setImmediate } from "node:timers/promises";
import { until } from "../support/redis-server";
import { answers, clientOf, closeAll, fill, openStore, outcome, REQUEST, serverWith, TAG, timed } from "./redis-world";

afterEach(closeAll);

describe("a server that is away", () => {
  it("does not keep the start waiting, and is found when it comes", async () => {
    const server = await serverWith();
    await server.kill("SIGKILL");
    const { store, states, causes } = await openStore(clientOf(server));
    expect(states).toEqual(["down"]);
    expect(causes[0]).toMatchObject({ code: "ECONNREFUSED" });
    const { error, milliseconds } = await timed(store.read([REQUEST]));
    expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", cause: { code: "ECONNREFUSED" } });
    expect(milliseconds).toBeLessThan(50);

    await server.restart();
    await until(() => states.join() === "down,up");
    await fill(store, "value");
    expect(await outcome(store)).toBe("value");
  });

  it("is tried again whatever the options of the user's client say", async () => {
    const server = await serverWith();
    const client = clientOf(server, {
      retryStrategy: () => null,
      reconnectOnError: () => 2,
      maxRetriesPerRequest: null,
      commandTimeout: 1,
      stringNumbers: true,
      enableAutoPipelining: false,
      lazyConnect: true,
    });
    const { store, states } = await openStore(client);
    await fill(store, "value");
    for (let times = 1; times <= 3; times++) {
      await server.kill("SIGKILL");
      await server.restart();
      await until(() => states.join() === "up" + ",down,up".repeat(times));
    }
    await fill(store, "again");
    expect(await outcome(store)).toBe("again");
    expect(
      await store.unlock({ tags: [TAG], holder: "nobody", token: "t", tagTtl: 1, watched: [], entries: [] }),
    ).toEqual({
      held: false,
      written: 0,
    });
  });

  it("ends every call that is under way, one way or the other", async () => {
    const server = await serverWith();
    const client = clientOf(server);
    const { store } = await openStore(client, { timeout: 2000 });
    await fill(store, "value");
    let calls = 0;
    const seen = new Set<unknown>();
    let over = false;
    const readers = Array.from({ length: 32 }, async () => {
      while (!over) {
        calls++;
        await outcome(store).then(
          (result) => seen.add(result),
          (error: { code: string }) => seen.add(error.code),
        );
        await setImmediate();
      }
    });
    for (let kills = 0; kills < 20; kills++) {
      await client.client("KILL", "TYPE", "normal", "SKIPME", "yes");
      await until(() => answers(store));
    }
    over = true;
    await Promise.all(readers);
    expect(calls).toBeGreaterThan(100);
    expect([...seen].sort()).toEqual(["STORE_UNAVAILABLE", "value"]);
  });
});

describe("a server that does not answer", () => {
  it("costs each call the timeout, then counts as lost, and is found again", async () => {
    const server = await serverWith();
    const { store, states } = await openStore(clientOf(server), { timeout: 100 });
    await fill(store, "value");
    await server.kill("SIGSTOP");
    const first = await timed(store.read([REQUEST]));
    expect(first.error).toMatchObject({ code: "STORE_TIMEOUT", message: expect.stringContaining("storeTimeout") });
    expect(first.milliseconds).toBeGreaterThan(95);
    expect(first.milliseconds).toBeLessThan(400);

    await until(async () => {
      const { error } = await timed(store.read([REQUEST]));
      return (error as { code: string }).code === "STORE_UNAVAILABLE";
    });
    expect(states).toEqual(["up", "down"]);
    expect((await timed(store.read([REQUEST]))).milliseconds).toBeLessThan(50);

    await server.kill("SIGCONT");
    await until(() => states.join() === "up,down,up");
    expect(await outcome(store)).toBe("value");
  });

  it("bounds calls that wait behind others", async () => {
    const server = await serverWith();
    const { store } = await openStore(clientOf(server), { timeout: 100 });
    await fill(store, "value");
    await server.kill("SIGSTOP");
    const calls = [store.read([REQUEST])];
    await setImmediate();
    await setImmediate();
    calls.push(store.read([REQUEST]));
    for (const { error, milliseconds } of await Promise.all(calls.map(timed))) {
      expect(error).toMatchObject({ code: "STORE_TIMEOUT" });
      expect(milliseconds).toBeLessThan(400);
    }
    await server.kill("SIGCONT");
  });

  it("keeps its connection if it was only slow once", async () => {
    const server = await serverWith("--enable-debug-command", "yes");
    const client = clientOf(server);
    const { store, states } = await openStore(client, { timeout: 50 });
    await fill(store, "value");
    const slow = client.call("DEBUG", "SLEEP", "0.3");
    await until(async () => {
      const { error } = await timed(store.read([REQUEST]));
      return (error as { code?: string } | undefined)?.code === "STORE_TIMEOUT";
    });
    await slow;
    await until(() => answers(store));
    expect(await outcome(store)).toBe("value");
    expect(states).toEqual(["up"]);
  });

  it("may carry out a lock that nobody waited for, which then ends by itself", async () => {
    const server = await serverWith();
    const client = clientOf(server);
    const { store, states } = await openStore(client, { timeout: 100, lockTtl: 300 });
    await fill(store, "value");
    await server.kill("SIGSTOP");
    await expect(store.lock([TAG], "w", [], 60_000)).rejects.toMatchObject({ code: "STORE_TIMEOUT" });
    await server.kill("SIGCONT");
    await until(async () => (await client.keys("*:t:id=1")).length === 1 && (await outcome(store)) === "stale");
    await until(async () => (await store.prepare([TAG], 1000))[0] !== "");
    expect(states).toEqual(["up"]);
  });

  it("does not keep the end waiting", async () => {
    const server = await serverWith();
    const { store } = await openStore(clientOf(server), { timeout: 100 });
    await server.kill("SIGSTOP");
    expect((await timed(store.close())).milliseconds).toBeLessThan(1000);
    await server.kill("SIGCONT");
  });
});

describe("a server that became a replica", () => {
  it("is left when it refuses to write, and used again once it is a primary", async () => {
    const server = await serverWith();
    const primary = await serverWith();
    const client = clientOf(server);
    const { store, states } = await openStore(client);
    await fill(store, "value");
    await client.call("REPLICAOF", "127.0.0.1", String(primary.port));
    await expect(store.prepare(["g|id=2"], 1000)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await until(() => states.includes("down"));
    await client.call("REPLICAOF", "NO", "ONE");
    await until(() => answers(store));
  });
});
