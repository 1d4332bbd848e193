import type { TransactionJournal } from "./transaction-journal";

/** What is under way: statements with their locks, and transactions that have written or may yet. */
export class RunningWrites {
  private count = 0;
  private readonly open = new Set<TransactionJournal>();
  private wake: (() => void) | undefined;

  begin(): void {
    this.count += 1;
  }

  end(): void {
    this.count -= 1;
    if (this.wake !== undefined && this.isOver()) this.wake();
  }

  /** Looks at a journal after something was sent on its connection. One in doubt may never end, and is not waited for. */
  follow(journal: TransactionJournal): void {
    if (journal.isOpen() && journal.isCertain()) this.open.add(journal);
    else this.open.delete(journal);
  }

  has(journal: TransactionJournal | undefined): boolean {
    return journal !== undefined && this.open.has(journal);
  }

  /** Resolves when nothing is under way, or after `limit` milliseconds. */
  async over(limit: number): Promise<void> {
    if (this.isOver()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limit);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private isOver(): boolean {
    return this.count === 0 && this.open.size === 0;
  }
}
