import { setImmediate } from "node:timers/promises";
import { LockError } from "typeorm-coherent";
import { served, write, type Member } from "./world";

/** Writes by one member and reads by all, checked: what was committed before a read began is the oldest that it may show. */
export class Oracle {
  /** Of writes that went through. */
  committed = 0;
  refused = 0;
  reads = 0;
  readonly stale: string[] = [];
  private next = 0;
  private isOver = false;
  private readonly running: Promise<void>[];

  constructor(writer: Member, readers: readonly Member[]) {
    this.running = [this.write(writer), ...readers.map((reader, at) => this.read(reader, `reader ${at}`))];
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.running);
  }

  private async write(member: Member): Promise<void> {
    while (!this.isOver) {
      const value = ++this.next;
      try {
        await write(member, value);
        this.committed = value;
      } catch (error) {
        if (!(error instanceof LockError)) throw error;
        this.refused += 1;
      }
      for (let turns = 0; turns < 10; turns += 1) await setImmediate();
    }
  }

  private async read(member: Member, name: string): Promise<void> {
    while (!this.isOver) {
      const oldest = this.committed;
      const value = await served(member);
      this.reads += 1;
      if (value < oldest) this.stale.push(`${name} read ${value} after ${oldest} was committed`);
      await setImmediate();
    }
  }
}
