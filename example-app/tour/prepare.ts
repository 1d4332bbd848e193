import { setTimeout as delay } from "node:timers/promises";
import type { OpenShop } from "../open-shop";
import { inventory } from "../seed/seed";
import { newTrace } from "../watch";
import type { Report } from "./report";

/** A sku that no seeded product has; the tour brings it in and takes it away again. */
export const NEW_SKU = "KIT-900";

/** Milliseconds that a quarantine may take; it lasts two seconds. */
const PATIENCE = 15_000;

/** What the steps count on, whatever an earlier run or a user of the API left in the database. */
export async function prepareShop(open: OpenShop): Promise<void> {
  const { shop, cache, plain } = open;
  await shop.products.delete({ sku: NEW_SKU });
  for (const id of [17, 21, 42]) if ((await plain.product(id)).stock < 20) await shop.changeProduct(id, { stock: 60 });
  await warmUp(open);
  await cache.clear();
}

/**
 * Reads and writes what the tour does not show. It would otherwise start with code that Node has not compiled yet, and its
 * first times would tell of the compiler.
 */
async function warmUp({ shop, plain, api, watch }: OpenShop): Promise<void> {
  for (let id = 101; id <= 200; id += 1) {
    const { sku, stock } = await plain.product(id);
    for (let round = 0; round < 5; round += 1) {
      await watch.run(newTrace(), () => shop.product(id));
      await watch.run(newTrace(), () => shop.productBySku(sku));
      await shop.productsOf(12);
      await shop.latestOrders(50);
    }
    await api.inject("/customers/50/orders");
    await shop.changeProduct(id, { stock: stock + (id % 2 === 0 ? 1 : -1) });
  }
}

export async function describeShop({ dataSource, seedTime }: OpenShop): Promise<string> {
  const { products, categories, customers, orders } = await inventory(dataSource);
  const held = `${products} products in ${categories} categories, ${customers} customers, ${orders} orders`;
  return seedTime === undefined ? `${held}, as found in the file` : `${held}, seeded in ${Math.round(seedTime)} ms`;
}

/**
 * A server that has just appeared may have lost the locks of writers that are still at work, so nothing is filled before
 * those have ended. Reads are right meanwhile, but miss.
 */
export async function passQuarantine({ cache, shop }: OpenShop, report: Report): Promise<void> {
  const isFilled = async () => {
    await shop.category(1);
    const explanation = await cache.explain(shop.categories.target, "findOne", { where: { id: 1 } });
    return explanation.cacheable && explanation.present.every(Boolean);
  };
  if (await isFilled()) return;
  report.line();
  report.paragraph(
    "Redis does not know this shop yet, so for 2 s (lockTtl) nothing is cached: a lock that Redis lost in a restart has run out by then. Waiting …",
  );
  const start = performance.now();
  while (!(await isFilled())) {
    if (performance.now() - start > PATIENCE) throw new Error(`After ${PATIENCE / 1000} s still nothing is cached.`);
    await delay(20);
  }
  report.paragraph(`… over after ${((performance.now() - start) / 1000).toFixed(1)} s.`);
}
