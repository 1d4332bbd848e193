import { Column, Entity, PrimaryGeneratedColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";

/** Hardly ever changes, so its entries may live long; a change drops them at once all the same. */
@Entity()
@Cached({ ttl: "1h" })
export class Category {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) slug!: string;
  @Column() name!: string;
}
