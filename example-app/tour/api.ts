import type { Tour } from "./tour";

export async function api(tour: Tour): Promise<void> {
  const { sku, priceCents } = await tour.open.plain.product(21);
  const orderOf = (...quantities: number[]) => ({
    customerId: 9,
    lines: quantities.map((quantity) => ({ sku, quantity })),
  });

  tour.report.section(
    "The same over HTTP",
    "The API answers with x-cache: hit, miss or bypass. --serve keeps it up, for curl or a browser.",
  );
  await tour.request({ url: "/products/21" }, { status: 200, cache: "miss", body: (shop) => shop.product(21) });
  await tour.request({ url: "/products/21" }, { status: 200, cache: "hit", body: (shop) => shop.product(21) });
  await tour.request(
    { url: `/products/by-sku/${sku}` },
    { status: 200, cache: "miss", body: (shop) => shop.product(21) },
  );
  await tour.request(
    { method: "PATCH", url: "/products/21", payload: { priceCents: priceCents + 100 } },
    { status: 200, cache: "hit", body: (shop) => shop.product(21) },
  );
  await tour.request(
    { url: `/products/by-sku/${sku}` },
    { status: 200, cache: "hit", body: (shop) => shop.product(21) },
  );
  await tour.request({ url: "/customers/9/orders" }, { status: 200, cache: "miss", body: (shop) => shop.ordersOf(9) });
  await tour.request({ url: "/customers/9/orders" }, { status: 200, cache: "hit", body: (shop) => shop.ordersOf(9) });
  await tour.request({ method: "POST", url: "/orders", payload: orderOf(1) }, { status: 201, cache: "bypass" });
  await tour.request({ url: "/customers/9/orders" }, { status: 200, cache: "miss", body: (shop) => shop.ordersOf(9) });
  await tour.request(
    { method: "POST", url: "/orders", payload: orderOf(99, 99, 99) },
    { status: 409, cache: "bypass" },
  );
  await tour.request({ url: "/products/4711" }, { status: 404, cache: "miss" });
  await tour.request({ url: "/products/4711" }, { status: 404, cache: "hit" });
  await tour.request({ url: "/products/chair" }, { status: 400, cache: "bypass" });
}
