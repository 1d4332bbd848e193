import type { FastifyInstance, RouteHandlerMethod } from "fastify";
import { newTrace, outcomeOf, reasonOf, type Watch } from "../watch";

/**
 * Every response says what the cache did for it: `x-cache: hit`, `miss` or `bypass`, and in `x-cache-detail` why, or how
 * many reads were which. A request that never came to a read, such as one with wrong input, is a bypass.
 */
export function addCacheHeaders(api: FastifyInstance, watch: Watch): void {
  api.addHook("onRequest", async (_request, reply) => {
    reply.header("x-cache", "bypass");
  });
  api.addHook("onRoute", (route) => {
    const { handler } = route;
    const traced: RouteHandlerMethod = async function (request, reply) {
      const trace = newTrace();
      try {
        return await watch.run(trace, async (): Promise<unknown> => handler.call(this, request, reply));
      } finally {
        reply.header("x-cache", outcomeOf(trace));
        const reason = reasonOf(trace);
        if (reason !== "") reply.header("x-cache-detail", reason);
      }
    };
    route.handler = traced;
  });
}
