// The shop on @nestjs/typeorm 12, which is made of ES modules alone: Node can require them, jest cannot. Takes the URL
// of a Redis, prints what it saw, and ends by itself if nothing is left open.
import "reflect-metadata";
import "./names-in-child";
import { getDataSourceToken, TypeOrmModule, type TypeOrmModuleOptions } from "@nestjs/typeorm";
import { Redis } from "ioredis";
import request from "supertest";
import { DataSource } from "typeorm";
import { CoherentCache, RedisStore } from "typeorm-coherent";
import { cachedDataSource, CoherentCacheModule } from "typeorm-coherent/nest";
import { dataSourceToken } from "../../src/nest/tokens";
import { AuditEntry, Product } from "./shop/entities";
import { ShopModule } from "./shop/shop-module";
import { named, sqlite, start } from "./shop/start";

async function main(url: string) {
  const database = sqlite();
  const audit = named(await database.options([AuditEntry]), "audit");
  const products = (await database.options([Product])) as TypeOrmModuleOptions;
  const app = await start([
    ShopModule.with([
      TypeOrmModule.forRootAsync({
        useFactory: () => products,
        dataSourceFactory: cachedDataSource(() => ({
          store: new RedisStore(new Redis(url, { lazyConnect: true })),
          transparent: true,
          lockTtl: 200,
        })),
      }),
      TypeOrmModule.forRoot(audit),
      CoherentCacheModule.forRoot(),
      CoherentCacheModule.forRoot({ dataSource: "audit" }),
    ]),
  ]);
  const server = app.getHttpServer() as Parameters<typeof request>[0];
  const priceOf = async (path: string) => ((await request(server).get(path)).body as Product).price;
  const prices: number[] = [];
  for (const price of [5, 6]) {
    await request(server).put("/products/A").send({ price });
    prices.push(await priceOf("/products/A"), await priceOf("/products/A"), await priceOf("/products/A/plain"));
  }
  const cache = app.get(CoherentCache);
  // A new Redis fills nothing for the length of a lock.
  while (cache.stats().hits === 0) await priceOf("/products/A/plain");
  const dataSource = app.get(DataSource);
  const sameTokens = ["default", "audit"].every((name) => dataSourceToken(name) === getDataSourceToken(name));
  const health = (await request(server).get("/health")).status;
  await app.close();
  const module = require.resolve("@nestjs/typeorm");
  console.log(JSON.stringify({ module, prices, sameTokens, health, open: dataSource.isInitialized }));
}

void main(process.argv[2]!);
