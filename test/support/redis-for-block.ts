import { Redis } from "ioredis";
import { startRedis, type RedisServer } from "./redis-server";

/** Gives the tests of a block a Redis server of their own and a client of it; it is empty before each of them. */
export function redisForBlock(use: (client: Redis, server: RedisServer) => void): void {
  let server: RedisServer;
  let client: Redis;
  beforeAll(async () => {
    server = await startRedis();
    client = new Redis(server.url);
    use(client, server);
  });
  afterAll(async () => {
    client.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    await client.flushall();
  });
}
