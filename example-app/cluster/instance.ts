// One of the two processes of `npm run example:cluster`; started by main.ts, which talks to it.
import "reflect-metadata";
import { openShop } from "../open-shop";
import { newTrace, outcomeOf } from "../watch";
import type { Question, Said } from "./messages";

const [, , redis, database] = process.argv.filter((argument) => !argument.startsWith("--"));
const say = (said: Said) => void process.send?.(said);

async function main(): Promise<void> {
  const open = await openShop({ redis, database });
  const { shop, cache, watch } = open;
  cache.on("invalidated", (event) => say({ kind: "event", event }));
  // What no process of the shop writes: psql would be for another database, this is SQLite.
  await cache.feeds.polling({ every: 20 });

  const answer = async (question: Question) => {
    if (question.do === "close") {
      await open.close();
      process.disconnect();
      return;
    }
    const trace = newTrace();
    const { priceCents } = await watch.run(trace, () =>
      question.do === "read"
        ? shop.product(question.product)
        : shop.changeProduct(question.product, { priceCents: question.priceCents }),
    );
    say({
      kind: "answer",
      id: question.id,
      priceCents,
      outcome: question.do === "read" ? outcomeOf(trace) : "written",
    });
  };
  process.on("message", (question: Question) => {
    answer(question).catch((error: unknown) => say({ kind: "failed", id: question.id, error: String(error) }));
  });
  // Whoever started it is gone.
  process.on("disconnect", () => void open.close().finally(() => process.exit()));
  say({ kind: "ready" });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
  process.disconnect();
});
