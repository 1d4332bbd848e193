import { Column, DeleteDateColumn, Entity, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn } from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";

@Entity()
@Cached()
export class Owner {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
  @DeleteDateColumn() deletedAt!: Date | null;
}

/** Has a key of every sort: unique, not unique, composite, of a relation. */
@Entity()
@Cached({ strategy: "write-through" })
@CacheKey(["shelf", "slot"])
export class Item {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40, unique: true }) code!: string;
  @CacheKey() @Column() shelf!: number;
  @Column({ length: 40, default: "a" }) slot!: string;
  @Column({ default: 0 }) rank!: number;
  @CacheKey() @Column({ default: true }) active!: boolean;
  @CacheKey() @ManyToOne(() => Owner, { nullable: true, onDelete: "SET NULL" }) owner!: Owner | null;
  @Column({ type: "int", nullable: true }) ownerId!: number | null;
  @DeleteDateColumn() deletedAt!: Date | null;
}

/** Its primary key is a text. */
@Entity()
@Cached()
export class Word {
  @PrimaryColumn({ length: 40 }) text!: string;
  @Column({ default: 0 }) uses!: number;
}

/** Its primary key is two columns. */
@Entity()
@Cached()
export class Seat {
  @PrimaryColumn() row!: number;
  @PrimaryColumn({ length: 10 }) place!: string;
  @Column({ default: 0 }) price!: number;
}
