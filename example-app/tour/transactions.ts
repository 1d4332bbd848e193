import type { Tour } from "./tour";

export async function transactions(tour: Tour): Promise<void> {
  const [first, second, third] = [
    await tour.open.plain.product(17),
    await tour.open.plain.product(42),
    await tour.open.plain.product(43),
  ];

  tour.report.section(
    "An order: a transaction that commits",
    "Inside, reads go to the database, since they must see what the transaction has written. What it changed reaches the cache at COMMIT, not before, and only what it changed.",
  );
  await tour.read("product 42", "hit", (shop) => shop.product(42));
  await tour.read("orders of customer 7", "miss", (shop) => shop.latestOrders(7));
  await tour.read("orders of customer 8", "miss", (shop) => shop.latestOrders(8));
  const order = {
    customerId: 7,
    lines: [
      { sku: first.sku, quantity: 2 },
      { sku: second.sku, quantity: 1 },
    ],
  };
  await tour.write(`customer 7 orders ${first.sku} and ${second.sku}`, "committed", (shop) => shop.placeOrder(order), {
    invalidates: ["product|id=17", "product|id=42", "order|customerId=7", "order_line|*"],
  });
  await tour.read("product 17: two fewer in stock", "hit", (shop) => shop.product(17));
  await tour.read("product 42: one fewer", "hit", (shop) => shop.product(42));
  await tour.read("orders of customer 7: one more", "miss", (shop) => shop.latestOrders(7));
  await tour.read("orders of customer 7 again", "hit", (shop) => shop.latestOrders(7));
  await tour.read("orders of customer 8: not touched", "hit", (shop) => shop.latestOrders(8));

  tour.report.section(
    "An order that fails: a rollback",
    "The third product runs out, after two were already taken from the stock. All of it is rolled back: nothing is invalidated, and no read has seen any of it.",
  );
  const tooMuch = {
    customerId: 8,
    lines: [first, second, third].map(({ sku, stock }) => ({ sku, quantity: sku === third.sku ? stock + 1 : 1 })),
  };
  await tour.write("customer 8 orders more than there is", "rolled back", (shop) => shop.placeOrder(tooMuch), {
    invalidates: [],
    writesThrough: 0,
  });
  await tour.read("product 17: as before", "hit", (shop) => shop.product(17));
  await tour.read("product 42: as before", "hit", (shop) => shop.product(42));
  await tour.read("orders of customer 8: as before", "hit", (shop) => shop.latestOrders(8));
}
