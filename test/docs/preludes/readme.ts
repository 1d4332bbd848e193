import { Column, Entity, PrimaryGeneratedColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";
import { openShop, type Surroundings } from "../open-shop";

@Entity()
@Cached({ strategy: "write-through", ttl: "10m" })
@CacheKey(["tenantId", "slug"])
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) sku!: string;
  @CacheKey() @Column({ default: 0 }) categoryId!: number;
  @Column({ default: 0 }) tenantId!: number;
  @Column({ default: "" }) slug!: string;
  @Column({ default: 0 }) price!: number;
}

export async function setUp(surroundings: Surroundings) {
  const shop = await openShop(surroundings, [Product]);
  await shop.dataSource.getRepository(Product).insert({ sku: "A-1" });
  return shop;
}
