import { Random } from "../seed/random";
import type { Shop } from "../shop/shop";

/** Milliseconds between two reads. */
const PAUSE = 20;
/** Reads at once: more would only wait. */
const MOST_AT_ONCE = 20;

/** Customers who look at the shop, so that there is something to watch. */
export class Traffic {
  isOn = true;
  private running = 0;
  private readonly random = new Random(1);
  private readonly timer: NodeJS.Timeout;

  /** @param isWatched nobody reads while nobody looks */
  constructor(
    private readonly shop: Shop,
    private readonly timed: <Result>(read: () => Promise<Result>) => Promise<Result>,
    isWatched: () => boolean,
  ) {
    this.timer = setInterval(() => {
      if (this.isOn && isWatched() && this.running < MOST_AT_ONCE) void this.one();
    }, PAUSE);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async one(): Promise<void> {
    this.running += 1;
    try {
      await this.timed(() => this.read());
    } catch {
      // What is not there is no error of a customer's.
    } finally {
      this.running -= 1;
    }
  }

  private read(): Promise<unknown> {
    const { shop, random } = this;
    const kind = random.between(1, 10);
    if (kind <= 6) return shop.product(random.skewed(1, 200));
    if (kind <= 8) return shop.productsOf(random.between(1, 8));
    return shop.latestOrders(random.skewed(1, 50));
  }
}
