import { Column, Entity, PrimaryGeneratedColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";

@Entity()
@Cached({ strategy: "write-through", ttl: "10m" })
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true, length: 40 }) sku!: string;
  @Column({ default: 0 }) price!: number;
}

/** Not cached. */
@Entity()
export class AuditLog {
  @PrimaryGeneratedColumn() id!: number;
  @Column() text!: string;
}
