import { Like } from "typeorm";
import { Product } from "../entities/product";
import type { Tour } from "./tour";

export async function limits(tour: Tour): Promise<void> {
  tour.report.section(
    "What the cache leaves to the database",
    "A read that cannot be served exactly goes past the cache, and says why.",
  );
  await tour.read("no key: name LIKE 'Copper%'", "bypass (where)", (shop) =>
    shop.products.findBy({ name: Like("Copper%") }),
  );
  await tour.read("relations: { category: true }", "bypass (options)", (shop) =>
    shop.products.find({ where: { id: 17 }, relations: { category: true } }),
  );
  await tour.read("cache: false", "bypass (cache-off)", (shop) =>
    shop.products.findOne({ where: { id: 17 }, cache: false }),
  );
  await tour.read("findAndCount()", "bypass (method)", (shop) =>
    shop.products.findAndCount({ where: { categoryId: 2 } }),
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
  const other = await cache.explain(Product, "find", { where: { stock: 0 } });
  tour.report.line();
  tour.report.detail("read", ["find({ where: { stock: 0 } })"]);
  tour.check("a read by stock has no key", !other.cacheable && other.reason === "where");
  tour.report.detail("cacheable", [other.cacheable ? "yes" : `no (${other.reason}): the stock is no key of Product`]);
}
