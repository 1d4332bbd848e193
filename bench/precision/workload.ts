import { Like, MoreThan, type EntityManager, type Repository } from "typeorm";
import { Category, Customer, Order, OrderLine, Product, Review, SIZES } from "./shop";

/** Where a read goes: to the cache, or past it. */
export interface Doors {
  readonly repository: <Row extends object>(target: new () => Row) => Repository<Row>;
  readonly manager: EntityManager;
  readonly cached: boolean;
}

/** A kind of read: what it is made of, what it reads, and how often it comes. */
export interface ReadKind {
  readonly name: string;
  readonly weight: number;
  /** As a cache by tables would have them declared. */
  readonly tables: readonly (new () => object)[];
  readonly run: (doors: Doors, pick: Pick) => Promise<unknown>;
}

/** A kind of write. */
export interface WriteKind {
  readonly name: string;
  readonly weight: number;
  readonly tables: readonly (new () => object)[];
  readonly run: (manager: EntityManager, pick: Pick) => Promise<unknown>;
}

/** Numbers from 1; small ones come more often (Zipf). */
export interface Pick {
  readonly product: number;
  readonly category: number;
  readonly customer: number;
  readonly order: number;
  /** Any number, for values that are written. */
  readonly any: number;
}

/** 20 kinds of reads of a shop. */
export const READS: readonly ReadKind[] = [
  {
    name: "product by id",
    weight: 20,
    tables: [Product],
    run: (d, p) => d.repository(Product).findOneBy({ id: p.product }),
  },
  {
    name: "product by sku",
    weight: 8,
    tables: [Product],
    run: (d, p) => d.repository(Product).findOneBy({ sku: `p${p.product}` }),
  },
  {
    name: "product with its category",
    weight: 10,
    tables: [Product, Category],
    run: (d, p) => d.repository(Product).findOne({ where: { id: p.product }, relations: { category: true } }),
  },
  {
    name: "product with its reviews",
    weight: 6,
    tables: [Product, Review],
    run: (d, p) =>
      d
        .repository(Product)
        .findOne({ where: { id: p.product }, relations: { reviews: true }, order: { reviews: { id: "ASC" } } }),
  },
  {
    name: "whether a sku is there",
    weight: 2,
    tables: [Product],
    run: (d, p) => d.repository(Product).existsBy({ sku: `p${p.product}` }),
  },
  {
    name: "products of a category",
    weight: 8,
    tables: [Product],
    run: (d, p) =>
      d.repository(Product).find({ where: { categoryId: p.category }, order: { price: "ASC", id: "ASC" } }),
  },
  {
    name: "active products of a category, with it",
    weight: 4,
    tables: [Product, Category],
    run: (d, p) =>
      d
        .repository(Product)
        .find({ where: { categoryId: p.category, active: true }, relations: { category: true }, order: { id: "ASC" } }),
  },
  {
    name: "first page of a category",
    weight: 3,
    tables: [Product],
    run: (d, p) =>
      d.repository(Product).find({ where: { categoryId: p.category }, order: { price: "ASC", id: "ASC" }, take: 10 }),
  },
  {
    name: "several products",
    weight: 4,
    tables: [Product],
    run: (d, p) =>
      d
        .repository(Product)
        .find({ where: [p.product, p.product + 1, p.product + 2].map((id) => ({ id })), order: { id: "ASC" } }),
  },
  {
    name: "reviews of a product",
    weight: 6,
    tables: [Review],
    run: (d, p) => d.repository(Review).find({ where: { productId: p.product }, order: { id: "ASC" } }),
  },
  {
    name: "stars of a product",
    weight: 3,
    tables: [Review],
    run: (d, p) => d.repository(Review).average("stars", { productId: p.product }),
  },
  {
    name: "category by slug",
    weight: 4,
    tables: [Category],
    run: (d, p) => d.repository(Category).findOneBy({ slug: `c${p.category}` }),
  },
  {
    name: "all categories",
    weight: 4,
    tables: [Category],
    run: (d) => d.repository(Category).find({ order: { id: "ASC" } }),
  },
  {
    name: "customer by id",
    weight: 5,
    tables: [Customer],
    run: (d, p) => d.repository(Customer).findOneBy({ id: p.customer }),
  },
  {
    name: "customer by address",
    weight: 3,
    tables: [Customer],
    run: (d, p) => d.repository(Customer).findOneBy({ email: `u${p.customer}@example.org` }),
  },
  {
    name: "orders of a customer",
    weight: 4,
    tables: [Order],
    run: (d, p) => d.repository(Order).find({ where: { customerId: p.customer }, order: { id: "ASC" } }),
  },
  {
    name: "order with its lines",
    weight: 3,
    tables: [Order, OrderLine],
    run: (d, p) =>
      d
        .repository(Order)
        .findOne({ where: { id: p.order }, relations: { lines: true }, order: { lines: { id: "ASC" } } }),
  },
  {
    name: "lines of an order with their products",
    weight: 2,
    tables: [OrderLine, Product],
    run: (d, p) =>
      d.repository(OrderLine).find({ where: { orderId: p.order }, relations: { product: true }, order: { id: "ASC" } }),
  },
  {
    name: "search by name",
    weight: 1,
    tables: [Product],
    run: (d, p) =>
      d.repository(Product).find({ where: { name: Like(`Product ${p.category}%`) }, order: { id: "ASC" } }),
  },
  {
    name: "expensive products, query builder",
    weight: 1,
    tables: [Product],
    run: (d, p) =>
      d.manager
        .createQueryBuilder(Product, "p")
        .where({ price: MoreThan(900 - p.category) })
        .orderBy("p.id")
        .cache(d.cached)
        .getMany(),
  },
];

/** 12 kinds of writes. */
export const WRITES: readonly WriteKind[] = [
  {
    name: "stock falls",
    weight: 30,
    tables: [Product],
    run: (m, p) => m.decrement(Product, { id: p.product }, "stock", 1),
  },
  {
    name: "price changes",
    weight: 10,
    tables: [Product],
    run: (m, p) => m.update(Product, p.product, { price: p.any % 1000 }),
  },
  {
    name: "product saved",
    weight: 5,
    tables: [Product],
    run: (m, p) => m.save(Product, { id: p.product, name: `Product ${p.any}` }),
  },
  {
    name: "product hidden or shown",
    weight: 2,
    tables: [Product],
    run: (m, p) => m.save(Product, { id: p.product, active: p.any % 2 === 0 }),
  },
  {
    name: "product moves",
    weight: 1,
    tables: [Product],
    run: (m, p) => m.save(Product, { id: p.product, categoryId: p.category }),
  },
  {
    name: "new review",
    weight: 12,
    tables: [Review],
    run: (m, p) => m.save(Review, { productId: p.product, stars: (p.any % 5) + 1, text: `t${p.any}` }),
  },
  { name: "review goes", weight: 2, tables: [Review], run: (m, p) => m.delete(Review, { id: p.product + p.category }) },
  {
    name: "category renamed",
    weight: 1,
    tables: [Category],
    run: (m, p) => m.update(Category, p.category, { title: `t${p.any}` }),
  },
  {
    name: "customer moves",
    weight: 5,
    tables: [Customer],
    run: (m, p) => m.save(Customer, { id: p.customer, city: `City ${p.any % 30}` }),
  },
  {
    name: "new order",
    weight: 15,
    tables: [Order, OrderLine, Product],
    run: (m, p) =>
      m.transaction(async (inner) => {
        const { id } = await inner.save(Order, { customerId: p.customer, status: "open" });
        await inner.save(OrderLine, { orderId: id, productId: p.product, quantity: 1 });
        await inner.decrement(Product, { id: p.product }, "stock", 1);
      }),
  },
  { name: "order sent", weight: 10, tables: [Order], run: (m, p) => m.update(Order, p.order, { status: "sent" }) },
  {
    name: "a price, by SQL",
    weight: 2,
    tables: [Product],
    run: (m, p) => m.query(`UPDATE product SET price = ${p.any % 1000} WHERE id = ${p.product}`),
  },
];

/** Numbers that look like chance and are the same in each run (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One of several by weight. */
export function weighted<Kind extends { readonly weight: number }>(kinds: readonly Kind[], random: () => number): Kind {
  let left = random() * kinds.reduce((sum, { weight }) => sum + weight, 0);
  return kinds.find(({ weight }) => (left -= weight) < 0) ?? kinds[0]!;
}

/** Zipf with exponent 1: the n-th comes 1/n as often as the first. */
export function picker(random: () => number): () => Pick {
  const zipf = (size: number) => {
    const sums: number[] = [];
    let sum = 0;
    for (let n = 1; n <= size; n += 1) sums.push((sum += 1 / n));
    return () => {
      const at = random() * sum;
      return sums.findIndex((one) => one > at) + 1;
    };
  };
  const [product, category] = [zipf(SIZES.products - 2), zipf(SIZES.categories)];
  const [customer, order] = [zipf(SIZES.customers), zipf(SIZES.orders)];
  return () => ({
    product: product(),
    category: category(),
    customer: customer(),
    order: order(),
    any: Math.floor(random() * 1_000_000),
  });
}
