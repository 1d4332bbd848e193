import Redis from "ioredis";

/** The client of a store whose MGETs can be looked at. */
export class MgetRecorder {
  /** For the store, which only makes copies of it. */
  readonly source: Redis;
  private readonly copies: Redis[] = [];

  constructor(url: string) {
    const source = new Redis(url, { lazyConnect: true });
    const duplicate = source.duplicate.bind(source);
    source.duplicate = (options) => {
      const copy = duplicate(options);
      this.copies.push(copy);
      return copy;
    };
    this.source = source;
  }

  /** The keys of each MGET that is sent during some work. Nothing of this is left on the client, since hits on it are measured. */
  async during(work: () => Promise<unknown>): Promise<string[][]> {
    const seen: string[][] = [];
    for (const copy of this.copies) {
      const mget = copy.mget.bind(copy) as (keys: string[]) => Promise<(string | null)[]>;
      const recording = (keys: string[]) => {
        seen.push([...keys]);
        return mget(keys);
      };
      copy.mget = recording as typeof copy.mget;
    }
    try {
      await work();
    } finally {
      for (const copy of this.copies) Reflect.deleteProperty(copy, "mget");
    }
    return seen;
  }
}
