/** The same numbers in every run (mulberry32), so that two runs of the example show the same shop. */
export class Random {
  constructor(private state: number) {}

  /** From 0 up to, not including, 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** As `between`, but small numbers come far more often. */
  skewed(least: number, most: number): number {
    return least + Math.floor(this.next() ** 3 * (most - least + 1));
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error("Nothing to pick from.");
    return item;
  }

  /** One of the first far more often than one of the last: few products make most of the sales. */
  favourite<Item>(items: readonly Item[]): Item {
    return this.pick(items.slice(this.skewed(0, items.length - 1)).slice(0, 1));
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    const order = items.map((item) => ({ item, at: this.next() }));
    return order.sort((left, right) => left.at - right.at).map(({ item }) => item);
  }
}
