import { Column, Entity, JoinTable, ManyToMany, ManyToOne, PrimaryGeneratedColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";
import { openShop, type Surroundings } from "../open-shop";

@Entity()
export class Brand {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
export class Label {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
@Cached()
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) sku!: string;
  @CacheKey() @Column() shelf!: number;
  @Column() price!: number;
  @ManyToOne(() => Brand) brand!: Brand;
  @Column() brandId!: number;
  @ManyToMany(() => Label) @JoinTable() labels!: Label[];
}

export async function setUp(surroundings: Surroundings) {
  const shop = await openShop(surroundings, [Product, Brand, Label]);
  return { ...shop, products: shop.repositoryOf(Product) };
}
