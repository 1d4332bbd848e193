import { Column, CreateDateColumn, Entity, Index, PrimaryGeneratedColumn } from "typeorm";

/** A row of middling size: about 300 bytes as JSON. */
@Entity()
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @Index({ unique: true }) @Column() sku!: string;
  @Column() name!: string;
  @Column("text") description!: string;
  @Column() categoryId!: number;
  @Column() priceInCents!: number;
  @Column() stock!: number;
  @Column({ default: true }) active!: boolean;
  @CreateDateColumn() createdAt!: Date;
}

/** So many rows that all fit into every cache. */
export const ROWS = 1000;

export function newProducts(): Partial<Product>[] {
  return Array.from({ length: ROWS }, (_, index) => ({
    sku: `SKU-${String(index).padStart(6, "0")}`,
    name: `Product number ${index}`,
    description: "A thing that one can buy, with a text that says what it is good for and for whom. ".repeat(2),
    categoryId: index % 20,
    priceInCents: 100 + index,
    stock: index % 50,
  }));
}
