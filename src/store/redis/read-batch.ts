/** Requests per round trip: a longer one would keep everybody else waiting at a server that does one thing at a time. */
const MOST_REQUESTS = 200;

/** Answers in the order of the requests. */
type Ask<Request, Answer> = (requests: readonly Request[]) => Promise<Answer[]>;

interface Waiting<Request, Answer> {
  readonly requests: readonly Request[];
  readonly resolve: (answers: Answer[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes one round trip of all reads that are asked for in the same turn of the event loop. A command of its own for each costs
 * the client more than all that is done with its answer, and most of what they ask for is the same: the epoch of the table.
 *
 * What is sent is sent after every one of these reads has begun, so none of them sees anything older than without.
 */
export class ReadBatch<Request, Answer> {
  private waiting: Waiting<Request, Answer>[] = [];
  private size = 0;

  constructor(private readonly ask: Ask<Request, Answer>) {}

  read(requests: readonly Request[]): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      if (this.size === 0) process.nextTick(() => this.send());
      this.waiting.push({ requests, resolve, reject });
      this.size += requests.length;
      if (this.size >= MOST_REQUESTS) this.send();
    });
  }

  private send(): void {
    const { waiting } = this;
    const [only] = waiting;
    if (only === undefined) return; // It was full before its turn came.
    this.waiting = [];
    this.size = 0;
    if (waiting.length === 1) {
      this.ask(only.requests).then(only.resolve, only.reject);
      return;
    }
    this.ask(waiting.flatMap(({ requests }) => requests)).then(
      (answers) => {
        let at = 0;
        for (const { requests, resolve } of waiting) resolve(answers.slice(at, (at += requests.length)));
      },
      (error: unknown) => {
        for (const { reject } of waiting) reject(error);
      },
    );
  }
}
