// nest.mjs <version>: an app of that Nest, with a database and a cache in the process. Prints what came out, as JSON.
import "reflect-metadata";
import { createRequire } from "node:module";
import { NestFactory } from "@nestjs/core";
import { TypeOrmModule } from "@nestjs/typeorm";
import { EntitySchema } from "typeorm";
import { CoherentCache } from "typeorm-coherent";
import { cachedDataSource, CoherentCacheModule, getCachedRepositoryToken } from "typeorm-coherent/nest";

const Product = new EntitySchema({
  name: "Product",
  columns: { id: { type: Number, primary: true, generated: true }, price: { type: Number } },
});

class App {}
const app = await NestFactory.createApplicationContext(
  {
    module: App,
    imports: [
      TypeOrmModule.forRootAsync({
        useFactory: () => ({ type: "better-sqlite3", database: ":memory:", entities: [Product], synchronize: true }),
        dataSourceFactory: cachedDataSource({ entities: "all", transparent: true }),
      }),
      CoherentCacheModule.forRoot(),
      CoherentCacheModule.forFeature([Product]),
    ],
  },
  { logger: false, abortOnError: false },
);
const products = app.get(getCachedRepositoryToken(Product), { strict: false });
await products.save({ price: 1 });
await products.findOneBy({ id: 1 });
await products.findOneBy({ id: 1 });
const { hits } = app.get(CoherentCache).stats();
await products.save({ id: 1, price: 2 });
const { price } = await products.findOneBy({ id: 1 });
await app.close();
const { version } = createRequire(import.meta.url)("@nestjs/core/package.json");
console.log(JSON.stringify({ version, hits, price }));
