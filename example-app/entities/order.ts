import { Column, Entity, ManyToOne, PrimaryGeneratedColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";
import { Customer } from "./customer";

export type OrderStatus = "placed" | "paid" | "shipped";

@Entity()
@Cached()
export class Order {
  @PrimaryGeneratedColumn() id!: number;
  /** A relation as a key: `findBy({ customer: { id: 7 } })` is cached, and dropped when that customer orders again. */
  @CacheKey() @ManyToOne(() => Customer, { nullable: false }) customer!: Customer;
  @Column({ type: "varchar" }) status!: OrderStatus;
  @Column() orderedAt!: Date;
  @Column() totalCents!: number;
}
