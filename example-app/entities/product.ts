import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, UpdateDateColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";
import { Category } from "./category";

/**
 * Read all the time and written with every order. Written through: after a COMMIT the new row is in the cache under its id,
 * and under its sku and its place in the category where it was looked up by them before; the next reader finds it there.
 */
@Entity()
@Index(["categoryId", "slug"], { unique: true })
@Cached({ strategy: "write-through", ttl: "10m" })
@CacheKey(["categoryId", "slug"])
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) sku!: string;
  @Column() name!: string;
  /** The last part of the product's address, unique within its category. */
  @Column() slug!: string;
  @Column() priceCents!: number;
  @Column() stock!: number;
  /** Set by the database, so only a row that was read back knows it. */
  @UpdateDateColumn() updatedAt!: Date;
  /** A list by category is one entry. */
  @CacheKey() @Column() categoryId!: number;
  @ManyToOne(() => Category, { nullable: false }) @JoinColumn({ name: "categoryId" }) category!: Category;
}
