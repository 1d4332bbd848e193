import fastify, { type FastifyInstance } from "fastify";
import type { CoherentCache } from "typeorm-coherent";
import type { Shop } from "../shop/shop";
import type { Watch } from "../watch";
import { addCacheHeaders } from "./cache-header";
import { cacheRoutes } from "./cache-routes";
import { orderRoutes } from "./order-routes";
import { productRoutes } from "./product-routes";

/** The API over a shop; not listening yet. Without a cache there is nothing to ask of it. */
export function createApi(shop: Shop, cache: CoherentCache | undefined, watch: Watch): FastifyInstance {
  // Input that nobody asked for is refused, not dropped: a misspelt field should be seen.
  const ajv = { customOptions: { removeAdditional: false } };
  const api = fastify({ ajv, exposeHeadRoutes: false, forceCloseConnections: "idle" });
  addCacheHeaders(api, watch);
  productRoutes(api, shop);
  orderRoutes(api, shop);
  if (cache !== undefined) cacheRoutes(api, cache);
  return api;
}
