import {
  In,
  type DataSource,
  type EntityManager,
  type EntityTarget,
  type ObjectLiteral,
  type Repository,
} from "typeorm";
import { Category } from "../entities/category";
import { Customer } from "../entities/customer";
import { Order, type OrderStatus } from "../entities/order";
import { OrderLine } from "../entities/order-line";
import { Product } from "../entities/product";
import { NotFound, OutOfStock } from "./errors";
import { OneAtATime } from "./one-at-a-time";

/** Where repositories come from: `cache.repository`, or TypeORM's own to read past the cache. */
export type RepositoryOf = <Entity extends ObjectLiteral>(target: EntityTarget<Entity>) => Repository<Entity>;

export interface NewOrder {
  readonly customerId: number;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

export type ProductChanges = Partial<Pick<Product, "name" | "priceCents" | "stock" | "categoryId">>;

/** An order as its customer sees it. */
export interface OrderView {
  readonly id: number;
  readonly status: OrderStatus;
  readonly orderedAt: Date;
  readonly totalCents: number;
  readonly lines: readonly { sku: string; name: string; quantity: number; priceCents: number }[];
}

/** The shop itself. Nothing in it knows of a cache: a cached repository is a repository. */
export class Shop {
  readonly categories: Repository<Category>;
  readonly products: Repository<Product>;
  readonly customers: Repository<Customer>;
  readonly orders: Repository<Order>;
  readonly lines: Repository<OrderLine>;
  private readonly writes = new OneAtATime();

  constructor(
    private readonly dataSource: DataSource,
    repositoryOf: RepositoryOf,
  ) {
    this.categories = repositoryOf(Category);
    this.products = repositoryOf(Product);
    this.customers = repositoryOf(Customer);
    this.orders = repositoryOf(Order);
    this.lines = repositoryOf(OrderLine);
  }

  async product(id: number): Promise<Product> {
    return (await this.products.findOneBy({ id })) ?? missing(`product ${id}`);
  }

  async productBySku(sku: string): Promise<Product> {
    return (await this.products.findOneBy({ sku })) ?? missing(`product with the sku ${sku}`);
  }

  async category(id: number): Promise<Category> {
    return (await this.categories.findOneBy({ id })) ?? missing(`category ${id}`);
  }

  async customer(id: number): Promise<Customer> {
    return (await this.customers.findOneBy({ id })) ?? missing(`customer ${id}`);
  }

  async productsOf(categoryId: number): Promise<Product[]> {
    const found = await this.products.findBy({ categoryId });
    if (found.length === 0 && !(await this.categories.existsBy({ id: categoryId }))) missing(`category ${categoryId}`);
    return found;
  }

  /** Newest first. */
  latestOrders(customerId: number): Promise<Order[]> {
    return this.orders.find({ where: { customer: { id: customerId } }, order: { id: "DESC" } });
  }

  /** Newest first; each with its lines, and these with the names of what was bought. */
  async ordersOf(customerId: number): Promise<OrderView[]> {
    if (!(await this.customers.existsBy({ id: customerId }))) missing(`customer ${customerId}`);
    const orders = await this.latestOrders(customerId);
    const lines = await Promise.all(orders.map(({ id }) => this.lines.findBy({ orderId: id })));
    const ids = [...new Set(lines.flat().map(({ productId }) => productId))];
    const products = ids.length === 0 ? [] : await this.products.findBy({ id: In(ids) });
    const byId = new Map(products.map((product) => [product.id, product]));
    return orders.map(({ id, status, orderedAt, totalCents }, index) => ({
      id,
      status,
      orderedAt,
      totalCents,
      lines: (lines[index] ?? []).map(({ productId, quantity, priceCents }) => {
        const { sku = "", name = "" } = byId.get(productId) ?? {};
        return { sku, name, quantity, priceCents };
      }),
    }));
  }

  /** Reads through the cache; the save writes only the columns that differ. */
  changeProduct(id: number, changes: ProductChanges): Promise<Product> {
    return this.writes.run(async () => {
      const product = await this.product(id);
      if (changes.categoryId !== undefined && !(await this.categories.existsBy({ id: changes.categoryId }))) {
        missing(`category ${changes.categoryId}`);
      }
      return this.products.save(Object.assign(product, changes));
    });
  }

  /**
   * Takes the products out of the stock and writes the order, all of it or nothing.
   *
   * @throws OutOfStock, NotFound; the transaction is rolled back
   */
  placeOrder({ customerId, lines }: NewOrder): Promise<Order> {
    return this.writes.run(() =>
      this.dataSource.transaction(async (manager) => {
        const customer = await manager.withRepository(this.customers).findOneBy({ id: customerId });
        if (customer === null) missing(`customer ${customerId}`);
        const orders = manager.withRepository(this.orders);
        const order = await orders.save({ customer, status: "placed", orderedAt: new Date(), totalCents: 0 });
        for (const [index, { sku, quantity }] of lines.entries()) {
          const { id: productId, priceCents } = await this.take(manager, sku, quantity);
          const line = { orderId: order.id, position: index + 1, productId, quantity, priceCents };
          await manager.insert(OrderLine, line);
          order.totalCents += quantity * priceCents;
        }
        return orders.save(order);
      }),
    );
  }

  /** On a database with a pool this would lock the row; here the transaction has the only connection. */
  private async take(manager: EntityManager, sku: string, quantity: number): Promise<Product> {
    const products = manager.withRepository(this.products);
    const product = await products.findOneBy({ sku });
    if (product === null) missing(`product with the sku ${sku}`);
    if (product.stock < quantity) throw new OutOfStock(product.name, product.stock, quantity);
    product.stock -= quantity;
    return products.save(product);
  }
}

function missing(what: string): never {
  throw new NotFound(what);
}
