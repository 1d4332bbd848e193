/** Requests per command: a longer one would keep everybody else waiting at a server that does one thing at a time. */
const MOST_REQUESTS = 200;

/** Answers in the order of the requests. */
type Ask<Request, Answer> = (requests: readonly Request[]) => Promise<Answer[]>;

interface Waiting<Request, Answer> {
  readonly requests: readonly Request[];
  readonly resolve: (answers: Answer[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes one round trip of all reads that are asked for in the same turn of the event loop: the first goes out at once, since mostly it is
 * the only one, and the others follow it as one command. A command of its own for each costs the client more than all that is done
 * with its answer, and most of what they ask for is the same: the epoch of the table.
 *
 * What is sent is sent after every one of these reads has begun, so none of them sees anything older than without.
 */
export class ReadBatch<Request, Answer> {
  private waiting: Waiting<Request, Answer>[] = [];
  private size = 0;
  private isGathering = false;

  constructor(private readonly ask: Ask<Request, Answer>) {}

  read(requests: readonly Request[]): Promise<Answer[]> {
    if (!this.isGathering) {
      this.isGathering = true;
      process.nextTick(this.endOfTurn);
      return this.ask(requests);
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ requests, resolve, reject });
      this.size += requests.length;
      if (this.size >= MOST_REQUESTS) this.send();
    });
  }

  private readonly endOfTurn = (): void => {
    this.isGathering = false;
    this.send();
  };

  private send(): void {
    const { waiting } = this;
    const [only] = waiting;
    if (only === undefined) return;
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
