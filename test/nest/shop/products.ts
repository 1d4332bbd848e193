import { Body, Controller, Get, Injectable, NotFoundException, Param, ParseIntPipe, Put } from "@nestjs/common";
import { InjectRepository } from "@nestjs/typeorm";
import { DataSource, Repository } from "typeorm";
import { CachedRepository, CoherentCache, type CacheStats } from "typeorm-coherent";
import { InjectCachedRepository } from "typeorm-coherent/nest";
import { Product } from "./entities";

@Injectable()
export class ProductService {
  constructor(
    @InjectCachedRepository(Product) private readonly cached: CachedRepository<Product>,
    @InjectRepository(Product) private readonly plain: Repository<Product>,
    private readonly dataSource: DataSource,
  ) {}

  find(sku: string): Promise<Product | null> {
    return this.cached.findOneBy({ sku });
  }

  /** As an app finds that knows nothing of a cache. */
  findPlainly(sku: string): Promise<Product | null> {
    return this.plain.findOneBy({ sku });
  }

  async setPrice(sku: string, price: number): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const product = await manager.findOneBy(Product, { sku });
      await manager.save(Product, { ...(product ?? { sku }), price });
    });
  }
}

@Controller("products")
export class ProductController {
  constructor(
    private readonly products: ProductService,
    private readonly cache: CoherentCache,
  ) {}

  @Get("stats")
  stats(): CacheStats {
    return this.cache.stats();
  }

  @Get(":sku")
  async one(@Param("sku") sku: string): Promise<Product> {
    return found(await this.products.find(sku));
  }

  @Get(":sku/plain")
  async plain(@Param("sku") sku: string): Promise<Product> {
    return found(await this.products.findPlainly(sku));
  }

  @Put(":sku")
  async put(@Param("sku") sku: string, @Body("price", ParseIntPipe) price: number): Promise<void> {
    await this.products.setPrice(sku, price);
  }
}

function found(product: Product | null): Product {
  if (product === null) throw new NotFoundException();
  return product;
}
