import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";
import { Order } from "./order";
import { Product } from "./product";

/** Its primary key has two columns; all lines of an order are looked up by one of them. */
@Entity()
@Cached()
export class OrderLine {
  @CacheKey() @PrimaryColumn() orderId!: number;
  @PrimaryColumn() position!: number;
  @Column() productId!: number;
  @Column() quantity!: number;
  /** What one piece cost when it was ordered. */
  @Column() priceCents!: number;
  @ManyToOne(() => Order, { nullable: false, onDelete: "CASCADE" }) @JoinColumn({ name: "orderId" }) order!: Order;
  @ManyToOne(() => Product, { nullable: false }) @JoinColumn({ name: "productId" }) product!: Product;
}
