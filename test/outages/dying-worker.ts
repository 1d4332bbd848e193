// Holds all that a process can hold in Redis, and waits to be killed: node scripts/run-ts.cjs test/outages/dying-worker.ts <url>
import { Redis } from "ioredis";
import { RedisStore } from "../../src";

const [url = ""] = process.argv.slice(2);

async function main(): Promise<void> {
  const client = new Redis(url, { lazyConnect: true });
  const store = new RedisStore(client);
  await store.open({ namespace: "worker", lockTtl: 1000, timeout: 400 }, ["g"]);
  const nothing = () => undefined;
  await store.listen({ message: nothing, up: nothing, down: nothing, confirmed: nothing }, 1000);
  await store.claim({ key: "k", group: "g", holder: "dying", ttl: 1000 });
  await store.lock(["g|id=1"], "dying", [], 60_000);
  // Renewed as a writer does whose COMMIT is under way.
  setInterval(() => void store.lock(["g|id=1"], "dying", [], 60_000).catch(nothing), 300);
  process.stdout.write("ready\n");
}

void main();
