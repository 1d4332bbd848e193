import { afterEach, describe, expect, it, jest } from "@jest/globals";
import { until } from "../support/redis-server";
import { tcpSwitch } from "../support/tcp-switch";
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

  it("makes a call worthless whose connection led to another server meanwhile", async () => {
    const [first, second] = [await serverWith(), await serverWith()];
    const between = await tcpSwitch(first.port);
    opened.push(() => between.stop());
    const { store, states } = await openStore(clientOf({ ...first, port: between.port }), {
      timeout: 5000,
      lockTtl: 40,
    });
    await fill(store, "of the first server");
    process.kill(first.pid, "SIGSTOP");
    const read = store.read([REQUEST]);
    between.leadTo(second.port);
    await expect(read).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    process.kill(first.pid, "SIGCONT");
    await until(() => states.join() === "up,down,up");
    expect(await outcome(store)).toBe("absent");
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
