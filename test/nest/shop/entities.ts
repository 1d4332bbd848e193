import { Column, Entity, PrimaryGeneratedColumn } from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";

@Entity()
@Cached({ strategy: "write-through" })
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) sku!: string;
  @Column() price!: number;
}

/** Lives in a database of its own. */
@Entity()
@Cached()
export class AuditEntry {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() sku!: string;
  @Column() text!: string;
}

@Entity()
export class Uncached {
  @PrimaryGeneratedColumn() id!: number;
}
