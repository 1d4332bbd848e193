import { Column, Entity, PrimaryGeneratedColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";

/** Read less often: a change only drops what is cached, and the next read fills it again. */
@Entity()
@Cached({ strategy: "invalidate" })
export class Customer {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) email!: string;
  @Column() name!: string;
  @Column() city!: string;
}
