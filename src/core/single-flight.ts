/** Shares one load among all who ask for the same thing while it runs. */
export class SingleFlight<Value> {
  private readonly flights = new Map<string, Promise<Value>>();

  /**
   * @param key what is loaded, and under which tokens: a caller may join only a load that started from the state which it
   *   has seen itself, or it would be handed something older than its own beginning
   * @returns the value, and whether this caller's `load` made it
   */
  async run(key: string, load: () => Promise<Value>): Promise<{ readonly value: Value; readonly own: boolean }> {
    const running = this.flights.get(key);
    if (running !== undefined) return { value: await running, own: false };
    const flight = load();
    this.flights.set(key, flight);
    try {
      return { value: await flight, own: true };
    } finally {
      this.flights.delete(key);
    }
  }
}
