import { Column, Entity, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn } from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";

@Entity()
@Cached()
export class Shop {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column({ length: 10 }) name!: string;
}

@Entity()
@Cached()
export class Offer {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shop, { onDelete: "CASCADE" }) shop!: Shop;
  @CacheKey() @Column({ nullable: true, type: "int" }) shopId!: number | null;
  @Column({ default: 0 }) price!: number;
}

/** Written to tell that everything before has come in. */
@Entity()
@Cached()
export class Mark {
  @PrimaryColumn() id!: number;
}
