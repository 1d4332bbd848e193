import type { CoherentCache } from "typeorm-coherent";
import type { OwnRedis } from "../own-redis";
import { OutOfStock } from "../shop/errors";
import { OneAtATime } from "../shop/one-at-a-time";
import type { Shop } from "../shop/shop";
import type { Board } from "./board";
import type { Traffic } from "./traffic";

/** What the buttons of the page work on. */
export interface ActionsOptions {
  readonly cache: CoherentCache;
  readonly shop: Shop;
  /** Past the cache. */
  readonly plain: Shop;
  readonly board: Board;
  readonly traffic: Traffic;
  readonly redis: OwnRedis | undefined;
}

export const ACTIONS = [
  "save",
  "order",
  "roll-back",
  "raw-sql",
  "clear",
  "start-traffic",
  "stop-traffic",
  "stop-redis",
  "start-redis",
] as const;

export type Action = (typeof ACTIONS)[number];

const PRODUCT = 17;
const CUSTOMER = 7;

/** What the buttons do; each says in a sentence what came of it. */
export class Actions {
  private readonly redisSteps = new OneAtATime();

  constructor(private readonly options: ActionsOptions) {}

  run(action: Action): Promise<string> {
    switch (action) {
      case "save":
        return this.save();
      case "order":
        return this.order();
      case "roll-back":
        return this.rollBack();
      case "raw-sql":
        return this.rawSql();
      case "clear":
        return this.clear();
      case "start-traffic":
      case "stop-traffic":
        return this.setTraffic(action === "start-traffic");
      case "stop-redis":
      case "start-redis":
        return this.redisSteps.run(() => this.setRedis(action === "start-redis"));
    }
  }

  private async save(): Promise<string> {
    const { priceCents } = await this.options.plain.product(PRODUCT);
    const saved = await this.options.shop.changeProduct(PRODUCT, { priceCents: priceCents + 10 });
    const isDown = this.options.cache.stats().storeState === "down";
    const after = isDown
      ? "It is committed; what invalidates it waits for the store, and reads go to the database until then."
      : "It was written through: the next read of it is a hit.";
    return `Product ${PRODUCT} now costs ${price(saved.priceCents)}. ${after}`;
  }

  private async order(): Promise<string> {
    const { sku, stock } = await this.options.plain.product(PRODUCT);
    if (stock < 1) await this.options.shop.changeProduct(PRODUCT, { stock: 50 });
    const { id } = await this.options.shop.placeOrder({ customerId: CUSTOMER, lines: [{ sku, quantity: 1 }] });
    return `Order ${id} was committed: its lines, the customer's list and the stock of product ${PRODUCT} in one transaction.`;
  }

  private async rollBack(): Promise<string> {
    const { sku } = await this.options.plain.product(PRODUCT);
    const lines = Array.from({ length: 20 }, () => ({ sku, quantity: 99 }));
    try {
      await this.options.shop.placeOrder({ customerId: CUSTOMER, lines });
    } catch (error) {
      if (error instanceof OutOfStock) return "The order was rolled back, and nothing was invalidated.";
      throw error;
    }
    return "There was enough of it after all; the order was committed.";
  }

  private async rawSql(): Promise<string> {
    await this.options.plain.products.query(`UPDATE product SET stock = stock + 1 WHERE "categoryId" = 3`);
    return "Category 3 was restocked with a line of raw SQL; lists of it and its products are read anew.";
  }

  private async clear(): Promise<string> {
    await this.options.cache.clear();
    this.options.board.forget();
    return "All entries were made unreadable; each is loaded once more.";
  }

  private setTraffic(isOn: boolean): Promise<string> {
    this.options.traffic.isOn = isOn;
    return Promise.resolve(isOn ? "Customers read." : "Customers have stopped reading.");
  }

  private async setRedis(isOn: boolean): Promise<string> {
    const { redis, board } = this.options;
    if (redis === undefined) return "Redis is not this example's to stop.";
    await (isOn ? redis.start() : redis.stop());
    if (isOn)
      return "Redis runs again, empty. It is asked once its locks would have run out (2 s); then entries fill up.";
    board.forget();
    return "Redis is stopped. Reads go to the database, and writes are committed and made up for later.";
  }
}

const price = (cents: number) => (cents / 100).toFixed(2);
