// For every page that has no prelude of its own.
import { Column, DeleteDateColumn, Entity, PrimaryGeneratedColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";
import { openShop, type Surroundings } from "../open-shop";

@Entity()
@Cached()
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) sku!: string;
  @CacheKey() @Column({ default: 0 }) shelf!: number;
  @Column({ default: 0 }) price!: number;
  @Column({ default: 0 }) tenantId!: number;
  @Column({ default: "" }) slug!: string;
  @DeleteDateColumn() deletedAt!: Date | null;
}

@Entity()
export class AuditLog {
  @PrimaryGeneratedColumn() id!: number;
}

/** As kafkajs has it, which is not installed: it hands one message over. */
export interface Consumer {
  run(handler: { eachMessage: (received: { message: { value: Buffer } }) => Promise<void> }): Promise<void>;
  disconnect(): Promise<void>;
}

export async function setUp(surroundings: Surroundings) {
  const shop = await openShop(surroundings, [Product, AuditLog]);
  await shop.dataSource.getRepository(Product).insert([{ sku: "S-1" }, { sku: "S-2", shelf: 3 }]);
  const value = Buffer.from(JSON.stringify({ payload: { source: { table: "product" }, after: { id: 1 } } }));
  const consumer: Consumer = {
    run: ({ eachMessage }) => eachMessage({ message: { value } }),
    disconnect: () => Promise.resolve(),
  };
  return { ...shop, products: shop.repositoryOf(Product), consumer };
}
