import { Like, Raw } from "typeorm";
import { Product } from "../entities/product";
import type { Shop } from "../shop/shop";
import type { Tour } from "./tour";

export async function limits(tour: Tour): Promise<void> {
  tour.report.section(
    "Reads that are no look at a key",
    "They are kept under the SQL that TypeORM makes of them, and depend on every table in it.",
  );
  const searches: [string, (shop: Shop) => Promise<unknown>][] = [
    ["name LIKE 'Copper%'", (shop) => shop.products.findBy({ name: Like("Copper%") })],
    [
      "relations: { category: true }",
      (shop) => shop.products.find({ where: { id: 17 }, relations: { category: true } }),
    ],
    ["findAndCount()", (shop) => shop.products.findAndCount({ where: { categoryId: 2 } })],
  ];
  for (const [name, read] of searches) {
    await tour.read(name, "miss", read);
    await tour.read(`${name}, again`, "hit", read);
  }

  tour.report.section(
    "What the cache leaves to the database",
    "A read that cannot be served exactly goes past the cache, and says why.",
  );
  await tour.read("cache: false", "bypass (cache-off)", (shop) =>
    shop.products.findOne({ where: { id: 17 }, cache: false }),
  );
  await tour.read("a condition that asks for the time", "bypass (volatile)", (shop) =>
    shop.products.findBy({ name: Raw((column) => `${column} < CURRENT_TIMESTAMP`) }),
  );

  tour.report.section("What the cache says of a read", "cache.explain() tells where a read stands, without making it.");
  const { cache } = tour.open;
  const explanation = await cache.explain(Product, "findOne", { where: { id: 17 } });
  tour.report.detail("read", ["findOne({ where: { id: 17 } })"]);
  tour.check("product 17 is in the cache", explanation.cacheable && explanation.present.every(Boolean));
  if (explanation.cacheable) {
    tour.report.detail("key", explanation.keys);
    tour.report.detail("depends on", explanation.tags);
    tour.report.detail("lives for", [`${explanation.ttl / 60_000} minutes at most`]);
    tour.report.detail("in the cache", [explanation.present.every(Boolean) ? "yes" : "no"]);
  }
  const other = await cache.explain(Product, "find", { where: { name: Raw(() => "random() > 0") } });
  tour.report.line();
  tour.report.detail("read", ["find({ where: { name: Raw(() => 'random() > 0') } })"]);
  tour.check("what chance decides is not cached", !other.cacheable && other.reason === "volatile");
  tour.report.detail("cacheable", [other.cacheable ? "yes" : other.text]);
}
