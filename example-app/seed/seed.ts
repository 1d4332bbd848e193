import type { DataSource, EntityManager, EntityTarget, ObjectLiteral } from "typeorm";
import { Category } from "../entities/category";
import { Customer } from "../entities/customer";
import { Order, type OrderStatus } from "../entities/order";
import { OrderLine } from "../entities/order-line";
import { Product } from "../entities/product";
import { CATALOGUE, type CategoryPlan } from "./catalogue";
import { CITIES, FIRST_NAMES, LAST_NAMES } from "./people";
import { Random } from "./random";

const PRODUCTS = 200;
const CUSTOMERS = 50;
const ORDERS = 300;
const FIRST_ORDER = Date.UTC(2026, 0, 5, 8);
const HOUR = 3_600_000;
const CENTS = [0, 50, 90, 95];

/** How much of everything a database holds. */
export interface Inventory {
  readonly categories: number;
  readonly products: number;
  readonly customers: number;
  readonly orders: number;
  readonly lines: number;
}

/** Fills an empty database with a shop, the same one in every run, in one transaction. */
export async function seed(dataSource: DataSource): Promise<void> {
  const random = new Random(20260105);
  await dataSource.transaction(async (manager) => {
    await manager.insert(
      Category,
      CATALOGUE.map(({ slug, name }) => ({ slug, name })),
    );
    const products = await insertProducts(manager, random);
    await manager.insert(Customer, customers(random));
    await insertOrders(manager, random, products);
  });
}

export async function inventory(dataSource: DataSource): Promise<Inventory> {
  const count = (entity: EntityTarget<ObjectLiteral>) => dataSource.getRepository(entity).count();
  return {
    categories: await count(Category),
    products: await count(Product),
    customers: await count(Customer),
    orders: await count(Order),
    lines: await count(OrderLine),
  };
}

type NewProduct = Pick<Product, "sku" | "name" | "slug" | "priceCents" | "stock" | "categoryId">;

async function insertProducts(manager: EntityManager, random: Random): Promise<NewProduct[]> {
  const products = CATALOGUE.flatMap((plan, index) => {
    // 200 does not divide by 12: the first categories have one more.
    const count = Math.floor(PRODUCTS / CATALOGUE.length) + (index < PRODUCTS % CATALOGUE.length ? 1 : 0);
    return productsOf(plan, index + 1, count, random);
  });
  await manager.insert(Product, products);
  return products;
}

function productsOf(plan: CategoryPlan, categoryId: number, count: number, random: Random): NewProduct[] {
  const all = plan.kinds.flatMap((kind) => plan.variants.map((variant) => ({ variant, kind })));
  return random
    .shuffled(all)
    .slice(0, count)
    .map(({ variant, kind: [kind, least, most] }, index) => {
      const name = `${variant} ${kind}`;
      return {
        sku: `${plan.code}-${String(index + 1).padStart(3, "0")}`,
        name,
        slug: name.toLowerCase().replace(/\W+/g, "-"),
        priceCents: random.between(least, most - 1) * 100 + random.pick(CENTS),
        stock: random.next() < 0.04 ? 0 : random.between(5, 180),
        categoryId,
      };
    });
}

function customers(random: Random): Pick<Customer, "email" | "name" | "city">[] {
  const names = FIRST_NAMES.flatMap((first) => LAST_NAMES.map((last) => `${first} ${last}`));
  return random
    .shuffled(names)
    .slice(0, CUSTOMERS)
    .map((name) => ({ name, email: `${name.toLowerCase().replace(" ", ".")}@example.com`, city: random.pick(CITIES) }));
}

async function insertOrders(manager: EntityManager, random: Random, products: readonly NewProduct[]): Promise<void> {
  const orders: (Pick<Order, "status" | "orderedAt" | "totalCents"> & { customer: { id: number } })[] = [];
  const lines: Pick<OrderLine, "orderId" | "position" | "productId" | "quantity" | "priceCents">[] = [];
  const byPopularity = random.shuffled(products.map((product, index) => ({ ...product, id: index + 1 })));
  for (let orderId = 1; orderId <= ORDERS; orderId += 1) {
    let totalCents = 0;
    const count = random.between(1, 4);
    for (let position = 1; position <= count; position += 1) {
      const { id: productId, priceCents } = random.favourite(byPopularity);
      const quantity = random.skewed(1, 4);
      totalCents += quantity * priceCents;
      lines.push({ orderId, position, productId, quantity, priceCents });
    }
    const orderedAt = new Date(FIRST_ORDER + orderId * 7 * HOUR + random.between(0, 5 * HOUR));
    const status: OrderStatus = orderId < ORDERS - 25 ? "shipped" : orderId < ORDERS - 8 ? "paid" : "placed";
    orders.push({ customer: { id: random.between(1, CUSTOMERS) }, status, orderedAt, totalCents });
  }
  await manager.insert(Order, orders);
  await manager.insert(OrderLine, lines);
}
