import { Column, CreateDateColumn, Entity, Index, PrimaryGeneratedColumn, type DataSource } from "typeorm";

/** What is read and written: about 150 bytes as JSON, and a description of any length. */
@Entity()
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @Index({ unique: true }) @Column() sku!: string;
  @Column() name!: string;
  @Column("text") description!: string;
  @Index() @Column() categoryId!: number;
  @Column() priceInCents!: number;
  @Column() stock!: number;
  @Column({ default: true }) active!: boolean;
  @CreateDateColumn() createdAt!: Date;
}

/** How many products there are, and how large. Ids count from 1. */
export interface Shape {
  readonly rows: number;
  /** Characters of the description, one byte each. */
  readonly text: number;
  /** Rows that have the same `categoryId`: the length of a list that is found by it. Categories count from 0. */
  readonly perCategory: number;
}

/** So many rows that all fit into every cache. */
export const ROWS = 1000;

/** What cases work on that do not say otherwise. */
export const MIDDLING: Shape = { rows: ROWS, text: 200, perCategory: 50 };

/** Rows of an insert: below the number of parameters that any of the databases takes. */
const AT_ONCE = 500;

export function newProducts({ rows, text, perCategory }: Shape = MIDDLING): Partial<Product>[] {
  const sentence = "A thing that one can buy, with a text that says what it is good for and for whom. ";
  const description = sentence.repeat(Math.ceil(text / sentence.length)).slice(0, text);
  return Array.from({ length: rows }, (_, index) => ({
    sku: `SKU-${String(index).padStart(6, "0")}`,
    name: `Product number ${index}`,
    description,
    categoryId: Math.floor(index / perCategory),
    priceInCents: 100 + index,
    stock: index % 50,
  }));
}

export async function insertProducts(dataSource: DataSource, shape: Shape): Promise<void> {
  const products = newProducts(shape);
  for (let at = 0; at < products.length; at += AT_ONCE) {
    const some = products.slice(at, at + AT_ONCE);
    await dataSource.createQueryBuilder().insert().into(Product).values(some).updateEntity(false).execute();
  }
}
