/** What happens, in the order of its time: a calendar queue with fixed days. Times are microseconds. */
export class Calendar<Event> {
  private readonly days = new Map<number, Event[]>();
  private today = 0;

  /** @param day microseconds; events of one day happen in the order in which they were entered */
  constructor(
    private readonly day: number,
    private readonly end: number,
  ) {}

  /** What is to happen after the end never does. */
  enter(time: number, event: Event): void {
    if (time >= this.end) return;
    const day = Math.max(this.today, Math.floor(time / this.day));
    const events = this.days.get(day);
    if (events === undefined) this.days.set(day, [event]);
    else events.push(event);
  }

  /** Lets everything happen; what happens may enter more. */
  run(happen: (event: Event) => void): void {
    const days = Math.ceil(this.end / this.day);
    for (this.today = 0; this.today < days; this.today += 1) {
      const events = this.days.get(this.today);
      if (events === undefined) continue;
      // Grows while it is gone through.
      for (const event of events) happen(event);
      this.days.delete(this.today);
    }
  }
}
