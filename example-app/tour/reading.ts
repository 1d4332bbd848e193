import { In } from "typeorm";
import type { Tour } from "./tour";
import { NEW_SKU } from "./prepare";

export async function reading(tour: Tour): Promise<void> {
  const { sku, categoryId, slug } = await tour.open.plain.product(17);

  tour.report.section(
    "A row, read twice",
    "The first read asks the database and fills the cache. The next one is a hit: no statement is sent. Each key that finds the row has an entry of its own.",
  );
  await tour.read("product 17", "miss", (shop) => shop.product(17));
  await tour.read("product 17 again", "hit", (shop) => shop.product(17));
  await tour.read(`product by sku ${sku}`, "miss", (shop) => shop.productBySku(sku));
  await tour.read(`product by sku ${sku} again`, "hit", (shop) => shop.productBySku(sku));
  const bySlug = { categoryId, slug };
  await tour.read("by category and slug, a composite key", "miss", (shop) => shop.products.findOneBy(bySlug));
  await tour.read("by category and slug again", "hit", (shop) => shop.products.findOneBy(bySlug));

  tour.report.section(
    "Lists, many rows at once, and rows that are not there",
    "A list by a declared key is one entry. In([...]) looks up each row and loads only those that are missing. That there is no such row is remembered too.",
  );
  await tour.read(`products of category ${categoryId}`, "miss", (shop) => shop.productsOf(categoryId));
  await tour.read(`products of category ${categoryId} again`, "hit", (shop) => shop.productsOf(categoryId));
  await tour.read("products 17, 42 and 43: 17 is there", "mixed", (shop) =>
    shop.products.findBy({ id: In([17, 42, 43]) }),
  );
  await tour.read("products 17, 42 and 43 again", "hit", (shop) => shop.products.findBy({ id: In([17, 42, 43]) }));
  await tour.read("orders of customer 7, by relation", "miss", (shop) => shop.latestOrders(7));
  await tour.read("orders of customer 7 again", "hit", (shop) => shop.latestOrders(7));
  await tour.read(`product by sku ${NEW_SKU}: none`, "miss", (shop) => shop.products.findOneBy({ sku: NEW_SKU }));
  await tour.read(`product by sku ${NEW_SKU}: none, again`, "hit", (shop) => shop.products.findOneBy({ sku: NEW_SKU }));
}
