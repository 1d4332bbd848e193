import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { FastifyInstance } from "fastify";
import { explainedRead, explainQuery, type ExplainQuery } from "../api/cache-routes";
import { newTrace, outcomeOf, reasonOf, type Watch } from "../watch";
import { ACTIONS, Actions, type Action, type ActionsOptions } from "./actions";
import { Board } from "./board";
import type { ReadReport, Second, Snapshot, State } from "./messages";
import { Stream } from "./stream";
import { Traffic } from "./traffic";

/** What the page shows. */
export interface PageOptions extends Omit<ActionsOptions, "board" | "traffic"> {
  readonly watch: Watch;
  /** Where the cache is, in words. */
  readonly place: string;
}

const ASSETS = join(__dirname, "assets");
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};

/** Only what this server itself sends is run or shown, in no other page's frame. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const MOST_RESULT = 4000;

/** The page to watch the cache, at `/`, and what it talks to. */
export async function pageRoutes(api: FastifyInstance, options: PageOptions): Promise<void> {
  const { cache, shop, redis, watch, place } = options;
  const stream = new Stream();
  const board = new Board(cache, (invalidation) => stream.send("invalidation", invalidation));
  const timed = async <Result>(read: () => Promise<Result>): Promise<Result> => {
    const start = performance.now();
    const result = await read();
    board.took((performance.now() - start) * 1000);
    return result;
  };
  const traffic = new Traffic(shop, timed, () => stream.listeners > 0);
  const actions = new Actions({ ...options, board, traffic });
  const stateNow = (): State => {
    const { storeState, pending } = cache.stats();
    const running = redis?.isRunning === true ? "running" : "stopped";
    return { store: storeState, pending, redis: redis === undefined ? undefined : running, traffic: traffic.isOn };
  };
  const timer = setInterval(() => {
    const second: Second = { tick: board.tick(), entities: board.entities(), state: stateNow() };
    stream.send("second", second);
  }, 1000);
  timer.unref();
  api.addHook("preClose", (done) => {
    clearInterval(timer);
    traffic.close();
    board.close();
    stream.close();
    done();
  });

  // A site in the same browser must not press the buttons, nor read what they say under a name of its own for this address.
  api.addHook("onRequest", async (request, reply) => {
    const isLocal = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/.test(request.headers.host ?? "");
    const site = request.headers["sec-fetch-site"];
    const isFromOutside = site === "cross-site" && request.headers["sec-fetch-mode"] !== "navigate";
    if (!isLocal || isFromOutside) return reply.code(403).send({ message: "Only for pages of this server." });
    reply.header("content-security-policy", POLICY).header("x-content-type-options", "nosniff");
  });

  for (const file of readdirSync(ASSETS)) {
    const type = TYPES[extname(file)];
    if (type === undefined) continue;
    const content = readFileSync(join(ASSETS, file), "utf8");
    const path = file === "index.html" ? "/" : `/page/${file}`;
    api.get(path, (_request, reply) => reply.type(type).header("cache-control", "no-cache").send(content));
  }

  api.get("/page/events", (_request, reply) => {
    reply.hijack();
    stream.open(reply.raw, () => {
      const { ticks, invalidations } = board;
      const snapshot: Snapshot = { place, ticks, invalidations, entities: board.entities(), state: stateNow() };
      return ["snapshot", snapshot];
    });
  });

  api.get<{ Querystring: ExplainQuery }>(
    "/page/read",
    { schema: { querystring: explainQuery } },
    async ({ query }): Promise<ReadReport> => {
      const { entity, method, options: find } = explainedRead(query);
      const { text: explanation } = await cache.explain<object>(entity, method, find);
      const trace = newTrace();
      const start = performance.now();
      const result: unknown = await timed(() => watch.run(trace, async () => cache.repository(entity)[method](find)));
      const micros = (performance.now() - start) * 1000;
      const json = JSON.stringify(result, undefined, 2);
      const shown = json.length > MOST_RESULT ? `${json.slice(0, MOST_RESULT)}\n…` : json;
      const { statements } = trace;
      return { outcome: outcomeOf(trace), reason: reasonOf(trace), micros, statements, explanation, result: shown };
    },
  );

  const action = { type: "object", properties: { action: { type: "string", enum: ACTIONS } }, required: ["action"] };
  api.post<{ Params: { action: Action } }>(
    "/page/actions/:action",
    { schema: { params: action } },
    async ({ params }) => {
      const text = await actions.run(params.action);
      stream.send("state", stateNow());
      return { text };
    },
  );
}
