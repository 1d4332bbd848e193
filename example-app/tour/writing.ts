import { Product } from "../entities/product";
import { NEW_SKU } from "./prepare";
import type { Tour } from "./tour";

export async function writing(tour: Tour): Promise<void> {
  const { sku, categoryId, priceCents } = await tour.open.plain.product(17);

  tour.report.section(
    "A write that goes through: products",
    "After COMMIT the new row is in the cache as the database has it, so the next read is a hit, by any unique key that it was looked up by before. Whatever else depended on the old row is invalidated. Tags say on what: product|id=17 is that row, product|* any row, product| the whole table. A miss is stale if there was an entry, and absent if there was none.",
  );
  const dearer = { priceCents: priceCents + 200 };
  await tour.write("product 17 costs 2.00 more", "committed", (shop) => shop.changeProduct(17, dearer), {
    invalidates: ["product|id=17", "product|*"],
    writesThrough: 3,
  });
  await tour.read("product 17", "hit", (shop) => shop.product(17));
  await tour.read(`product by sku ${sku}`, "hit", (shop) => shop.productBySku(sku));
  await tour.read(`products of category ${categoryId}: one changed`, "miss", (shop) => shop.productsOf(categoryId));
  await tour.read("product 42: not touched", "hit", (shop) => shop.product(42));
  const born = {
    sku: NEW_SKU,
    name: "Enamel milk pan",
    slug: "enamel-milk-pan",
    priceCents: 3490,
    stock: 12,
    categoryId,
  };
  await tour.write(`a new product, ${NEW_SKU}`, "committed", (shop) => shop.products.save(born), {
    invalidates: [`product|sku=${NEW_SKU.toLowerCase()}`, `product|categoryId=${categoryId}`],
    writesThrough: 3,
  });
  await tour.read(`product by sku ${NEW_SKU}: there now`, "hit", (shop) => shop.productBySku(NEW_SKU));
  await tour.read(`products of category ${categoryId}: one more`, "miss", (shop) => shop.productsOf(categoryId));
  await tour.read("product 42: not touched", "hit", (shop) => shop.product(42));

  tour.report.section(
    "A write that invalidates: customers",
    'Customers have the strategy "invalidate": a write drops what depended on the row, and the next read fills the cache again. The list of orders was joined with that row, so it goes too.',
  );
  const { city } = await tour.open.plain.customer(7);
  await tour.read("customer 7", "miss", (shop) => shop.customer(7));
  await tour.read("customer 7 again", "hit", (shop) => shop.customer(7));
  const moved = { id: 7, city: city === "Lisbon" ? "Trieste" : "Lisbon" };
  await tour.write(`customer 7 moves to ${moved.city}`, "committed", (shop) => shop.customers.save(moved), {
    invalidates: ["customer|id=7"],
    writesThrough: 0,
  });
  await tour.read("customer 7", "miss", (shop) => shop.customer(7));
  await tour.read("customer 7 again", "hit", (shop) => shop.customer(7));
  await tour.read("orders of customer 7", "miss", (shop) => shop.latestOrders(7));

  tour.report.section(
    "Writes without entities",
    "A statement that names its rows by the primary key or a declared key is as good as a saved entity. One whose rows nobody knows invalidates the table, and no other table.",
  );
  await tour.write("update(17, { stock: 50 })", "committed", (shop) => shop.products.update(17, { stock: 50 }), {
    invalidates: ["product|id=17"],
  });
  await tour.read("product 17", "hit", (shop) => shop.product(17));
  await tour.read("product 42: not touched", "hit", (shop) => shop.product(42));
  await tour.write(`delete({ sku: "${NEW_SKU}" })`, "committed", (shop) => shop.products.delete({ sku: NEW_SKU }), {
    invalidates: ["product|*"],
  });
  await tour.read(`product by sku ${NEW_SKU}: gone`, "miss", (shop) => shop.products.findOneBy({ sku: NEW_SKU }));
  await tour.read("product 42: in the same table", "hit", (shop) => shop.product(42));
  await tour.read("customer 7: in another table", "hit", (shop) => shop.customer(7));
  const rise = () =>
    tour.open.dataSource
      .createQueryBuilder()
      .update(Product)
      .set({ priceCents: () => "priceCents + 10" })
      .where("categoryId = :categoryId", { categoryId })
      .execute();
  await tour.write("a QueryBuilder: a category costs more", "committed", rise, {
    invalidates: ["product|id=1", "product|id=2"],
  });
  await tour.read(`products of category ${categoryId}`, "miss", (shop) => shop.productsOf(categoryId));
  await tour.read("product 42: in another category", "hit", (shop) => shop.product(42));
  const move = () => tour.open.dataSource.query("UPDATE customer SET city = 'Porto' WHERE city = 'Varna'");
  await tour.write("SQL as text: Varna moves to Porto", "committed", move, { invalidates: ["customer|"] });
  await tour.read("customer 7", "miss", (shop) => shop.customer(7));
}
