/** The message that the script of a part has to send; "" for none. */
export type MessageFor = (part: string) => string;

const NONE: ReadonlyMap<string, string> = new Map();

/**
 * Sends the messages of a call: on one server within the scripts, each with what it tells of; in a cluster, where that may take several
 * scripts on several nodes, after all of them.
 */
export class Messages {
  private last: Promise<unknown> = Promise.resolve();

  /** @param send sends one message before it returns; undefined if the scripts do */
  constructor(private readonly send?: (message: string) => Promise<unknown>) {}

  /**
   * @param messages by group
   * @param run makes the call, and gets the parts whose scripts have a message to send
   */
  with<Result>(
    messages: ReadonlyMap<string, string> = NONE,
    run: (messageFor: MessageFor, parts: Iterable<string>) => Promise<Result>,
  ): Promise<Result> {
    const { send } = this;
    if (send === undefined) return run((part) => messages.get(part) ?? "", messages.keys());
    const done = run(() => "", []);
    return messages.size === 0 ? done : this.after(done, () => Promise.all(Array.from(messages.values(), send)));
  }

  /** In the order in which the calls were made: who listens takes a number that is left out for a loss. */
  private after<Result>(done: Promise<Result>, send: () => Promise<unknown>): Promise<Result> {
    const turn = Promise.allSettled([done, this.last]);
    // Not the turn itself, whose outcome holds that of the one before, and so on.
    this.last = turn.then(() => undefined);
    return turn.then(([outcome]) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return send().then(() => outcome.value);
    });
  }
}
