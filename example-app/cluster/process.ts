import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { InvalidatedEvent } from "typeorm-coherent";
import type { Question, Said } from "./messages";

const RUN_TS = join(__dirname, "..", "..", "scripts", "run-ts.cjs");
const INSTANCE = join(__dirname, "instance.ts");

/** A price, and whether it came from the cache. */
export interface Answer {
  readonly priceCents: number;
  readonly outcome: string;
}

type Unnumbered = Question extends infer One ? (One extends Question ? Omit<One, "id"> : never) : never;

/** One instance of the shop, seen from the report. */
export class Instance {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<
    number,
    { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void }
  >();
  private last = 0;

  constructor(
    readonly name: string,
    redis: string,
    database: string,
    typeorm: readonly string[],
    onEvent: (event: InvalidatedEvent) => void,
  ) {
    this.child = fork(RUN_TS, [INSTANCE, redis, database, ...typeorm]);
    this.child.on("message", (said: Said) => {
      if (said.kind === "event") onEvent(said.event);
      else if (said.kind !== "ready") {
        const asked = this.waiting.get(said.id);
        this.waiting.delete(said.id);
        if (said.kind === "answer") asked?.resolve(said);
        else asked?.reject(new Error(`${name}: ${said.error}`));
      }
    });
    this.child.on("exit", (code) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`${name} has ended with ${code}.`));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resolves when it serves. */
  async ready(): Promise<void> {
    await Promise.race([
      once(this.child, "message"),
      once(this.child, "exit").then(() => Promise.reject(new Error(`${this.name} did not start.`))),
    ]);
  }

  ask(question: Unnumbered): Promise<Answer> {
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.child.send({ ...question, id });
    });
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exit = once(this.child, "exit");
    if (this.child.connected) this.child.send({ id: 0, do: "close" });
    else this.child.kill();
    await exit;
  }
}
