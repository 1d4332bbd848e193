import { Column, Entity, ManyToOne, OneToMany, PrimaryGeneratedColumn, type DataSource } from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";

@Entity()
@Cached()
export class Category {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) slug!: string;
  @Column() title!: string;
}

@Entity()
@Cached()
@CacheKey(["categoryId", "active"])
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) sku!: string;
  @CacheKey() @Column() categoryId!: number;
  @ManyToOne(() => Category, { nullable: false }) category!: Category;
  @Column({ default: true }) active!: boolean;
  @Column() name!: string;
  @Column() price!: number;
  @Column({ default: 10 }) stock!: number;
  @OneToMany(() => Review, (review) => review.product) reviews!: Review[];
}

@Entity()
@Cached()
export class Review {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() productId!: number;
  @ManyToOne(() => Product, (product) => product.reviews, { nullable: false }) product!: Product;
  @Column() stars!: number;
  @Column() text!: string;
}

@Entity()
@Cached()
export class Customer {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) email!: string;
  @Column() city!: string;
}

@Entity()
@Cached()
export class Order {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() customerId!: number;
  @ManyToOne(() => Customer, { nullable: false }) customer!: Customer;
  @Column() status!: string;
  @OneToMany(() => OrderLine, (line) => line.order) lines!: OrderLine[];
}

@Entity()
@Cached()
export class OrderLine {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() orderId!: number;
  @ManyToOne(() => Order, (order) => order.lines, { nullable: false }) order!: Order;
  @Column() productId!: number;
  @ManyToOne(() => Product, { nullable: false }) product!: Product;
  @Column() quantity!: number;
}

export const SHOP = [Category, Product, Review, Customer, Order, OrderLine];

export const SIZES = { categories: 20, products: 500, customers: 300, orders: 600 };

/** The same rows each time. */
export async function fillShop({ manager }: DataSource): Promise<void> {
  const numbers = (count: number) => Array.from({ length: count }, (_, at) => at + 1);
  const insert = async <Row extends object>(target: new () => Row, rows: readonly Partial<Row>[]) => {
    for (let at = 0; at < rows.length; at += 100) await manager.insert(target, rows.slice(at, at + 100) as never);
  };
  await insert(
    Category,
    numbers(SIZES.categories).map((n) => ({ slug: `c${n}`, title: `Category ${n}` })),
  );
  await insert(
    Product,
    numbers(SIZES.products).map((n) => ({
      sku: `p${n}`,
      categoryId: (n % SIZES.categories) + 1,
      name: `Product ${n}`,
      price: (n * 37) % 1000,
    })),
  );
  await insert(
    Review,
    numbers(SIZES.products * 2).map((n) => ({
      productId: (n % SIZES.products) + 1,
      stars: (n % 5) + 1,
      text: `Review ${n}`,
    })),
  );
  await insert(
    Customer,
    numbers(SIZES.customers).map((n) => ({ email: `u${n}@example.org`, city: `City ${n % 30}` })),
  );
  await insert(
    Order,
    numbers(SIZES.orders).map((n) => ({
      customerId: (n % SIZES.customers) + 1,
      status: n % 3 === 0 ? "open" : "sent",
    })),
  );
  await insert(
    OrderLine,
    numbers(SIZES.orders * 2).map((n) => ({
      orderId: (n % SIZES.orders) + 1,
      productId: (n % SIZES.products) + 1,
      quantity: (n % 3) + 1,
    })),
  );
}
