import { Random } from "../seed/random";
import { ShopError } from "../shop/errors";
import { inventory } from "../seed/seed";
import { whole } from "./report";
import type { Tour } from "./tour";

const OPERATIONS = 2500;

/** A mixture as a shop has it: mostly reads, of few products mostly; some orders, now and then a new price. */
export async function busy(tour: Tour): Promise<void> {
  const { shop, plain, dataSource } = tour.open;
  const random = new Random(2500);
  const products = random.shuffled(await plain.products.find());
  const { categories, customers } = await inventory(dataSource);
  const done = { reads: 0, orders: 0, "orders out of stock": 0, "new prices and stock": 0 };

  tour.report.section(
    "A busy hour",
    `${whole(OPERATIONS)} requests of all kinds, one after the other; each read is made past the cache as well and compared.`,
  );
  const differences: string[] = [];
  const start = performance.now();
  for (let operation = 0; operation < OPERATIONS; operation += 1) {
    const kind = random.next();
    const product = random.favourite(products);
    if (kind < 0.95) {
      done.reads += 1;
      const differs = await tour.compare((from) => {
        if (kind < 0.5) return from.product(product.id);
        if (kind < 0.7) return from.productBySku(product.sku);
        return kind < 0.82
          ? from.productsOf(1 + (operation % categories))
          : from.latestOrders(1 + (operation % customers));
      });
      if (differs !== undefined) differences.push(differs);
    } else if (kind < 0.985) {
      const customerId = random.between(1, customers);
      const lines = [{ sku: product.sku, quantity: random.between(1, 3) }];
      const placed = await shop.placeOrder({ customerId, lines }).then(
        () => true,
        (error: unknown) => {
          if (error instanceof ShopError) return false;
          throw error;
        },
      );
      done[placed ? "orders" : "orders out of stock"] += 1;
    } else {
      done["new prices and stock"] += 1;
      const priceCents = Math.round(product.priceCents * (0.9 + 0.2 * random.next()));
      await shop.changeProduct(product.id, { priceCents, stock: random.between(20, 180) });
    }
  }
  const seconds = (performance.now() - start) / 1000;
  const rows = Object.entries(done).map(([name, figure]) => [name, whole(figure), ""] as const);
  tour.report.table([
    ...rows,
    ["values that differed", whole(differences.length), ""],
    ["seconds", seconds.toFixed(1), "with all the comparing"],
  ]);
  tour.check("every value of the busy hour is as in the database", differences.length === 0);
  for (const difference of differences.slice(0, 3)) tour.report.detail("failed", [difference]);
}
