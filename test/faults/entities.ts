import { Column, DeleteDateColumn, Entity, PrimaryGeneratedColumn, VersionColumn } from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";

/** A mark of rows that are going to be rolled back: whoever reads it has read what never was. */
export const POISON = "poison";

/** A row as every statement of TypeORM leaves it: its version grows with each, so that older can be told from newer. */
export abstract class Item {
  @PrimaryGeneratedColumn() id!: number;
  /** Of hot rows "h1" and so on, for ever; of others a series and a number, never used twice. */
  @CacheKey() @Column({ unique: true }) sku!: string;
  @CacheKey() @Column() category!: number;
  @Column() mark!: string;
  @Column({ default: 0 }) amount!: number;
  @VersionColumn() version!: number;
  @DeleteDateColumn() gone!: Date | null;
}

@Entity("written_through")
@Cached({ strategy: "write-through" })
export class WrittenThrough extends Item {}

@Entity("invalidated")
@Cached({ strategy: "invalidate" })
export class Invalidated extends Item {}

export type ItemClass = new () => Item;

export const ITEMS: readonly [ItemClass, ...ItemClass[]] = [WrittenThrough, Invalidated];

/** Few, so that writers and readers meet all the time. */
export const HOT_ROWS = 8;
export const CATEGORIES = [1, 2, 3];
