import { afterEach, describe, expect, it } from "@jest/globals";
import { tcpSwitch } from "../support/tcp-switch";
import { until } from "../support/redis-server";
import { hearing, HEARTBEAT } from "./channel-cases";
import { answers, clientOf, closeAll, fill, openStore, outcome, opened, serverWith, TAG } from "./redis-world";

afterEach(closeAll);

const CHANNEL = "db:changes";

describe("the channel on Redis", () => {
  it("is heard again after its connection was cut, and says so", async () => {
    const server = await serverWith();
    const client = clientOf(server);
    const { store } = await openStore(client);
    const { heard, listener } = hearing();
    await store.listen(listener, HEARTBEAT);
    await client.publish(CHANNEL, "1");
    await until(() => heard.includes("1"));
    for (let times = 0; times < 3; times += 1) {
      await client.client("KILL", "TYPE", "pubsub");
      await until(() => heard.at(-1) === "up");
      await client.publish(CHANNEL, `after ${times}`);
      await until(() => heard.at(-1) === `after ${times}`);
    }
    expect(heard).toEqual(["up", "1", "down", "up", "after 0", "down", "up", "after 1", "down", "up", "after 2"]);
  });

  it("is waited for when the server is not there yet, and after it was killed", async () => {
    const server = await serverWith();
    const { store } = await openStore(clientOf(server));
    await server.kill("SIGKILL");
    const { heard, listener } = hearing();
    await store.listen(listener, HEARTBEAT);
    expect(heard).toEqual([]);
    await server.restart();
    await until(() => heard.join() === "up");
    await server.kill("SIGKILL");
    await until(() => heard.join() === "up,down");
    await server.restart();
    await until(() => heard.join() === "up,down,up");
  });

  it("notices a cable that was pulled, which closes no connection", async () => {
    const server = await serverWith();
    const cable = await tcpSwitch(server.port);
    opened.push(() => cable.stop());
    const { store } = await openStore(clientOf(cable));
    const { heard, confirmed, listener } = hearing();
    const causes: unknown[] = [];
    const down = (cause: unknown) => {
      causes.push(cause);
      listener.down();
    };
    await store.listen({ ...listener, down }, HEARTBEAT);
    await until(() => confirmed.length > 2);
    cable.freeze();
    await until(() => heard.join() === "up,down");
    expect(causes).toMatchObject([{ code: "STORE_TIMEOUT", message: expect.stringContaining("channel.heartbeat") }]);
    const last = confirmed.at(-1)!;
    cable.thaw();
    await until(() => heard.join() === "up,down,up");
    await until(() => confirmed.at(-1)! > last);
  });

  it("confirms nothing that was sent after a message that is still on its way", async () => {
    const server = await serverWith();
    const cable = await tcpSwitch(server.port);
    opened.push(() => cable.stop());
    const { store } = await openStore(clientOf(cable));
    const sender = clientOf(server);
    const { confirmed, heard, listener } = hearing();
    await store.listen(listener, 200);
    cable.delay(100);
    await until(() => confirmed.length > 1);
    for (let number = 0; number < 20; number += 1) {
      await sender.publish(CHANNEL, String(number));
      const sent = performance.now();
      await until(() => confirmed.at(-1)! > sent || heard.includes(String(number)));
      expect(heard).toContain(String(number));
    }
  });

  it("that may not be used keeps nothing from being invalidated", async () => {
    const server = await serverWith();
    const admin = clientOf(server);
    await admin.call("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "resetchannels");
    const client = clientOf(server, { username: "app", password: "pw" });
    const { store } = await openStore(client);
    const causes: unknown[] = [];
    const { heard, listener } = hearing();
    await store.listen({ ...listener, down: (cause) => void causes.push(cause) }, HEARTBEAT);
    await until(() => causes.length > 0);
    expect(String(causes[0])).toContain("NOPERM");
    expect(heard).toEqual([]);
    const messages = new Map([["g", "text"]]);
    await until(() => answers(store));
    await fill(store, "old");
    await store.lock([TAG], "w", [], 1000);
    const unlock = { tags: [TAG], holder: "w", token: "t", tagTtl: 1000, watched: [], entries: [], messages };
    expect(await store.unlock(unlock)).toEqual({ held: true, written: 0 });
    expect(await outcome(store)).toBe("stale");
    await fill(store, "old");
    expect(await outcome(store)).toBe("old");
    await store.invalidate([TAG], messages);
    expect(await outcome(store)).toBe("stale");
    expect(causes).toHaveLength(1);
  });
});
