import type { FastifyInstance } from "fastify";
import type { ObjectLiteral } from "typeorm";
import type { CoherentCache } from "typeorm-coherent";
import { Category } from "../entities/category";
import { Customer } from "../entities/customer";
import { Order } from "../entities/order";
import { OrderLine } from "../entities/order-line";
import { Product } from "../entities/product";
import { id, sku } from "./schemas";

const ENTITIES: Readonly<Record<string, new () => ObjectLiteral>> = { Category, Product, Customer, Order, OrderLine };

/** `?entity=Product&sku=KIT-001`: what follows `entity` and `method` is the where clause. */
export interface ExplainQuery {
  readonly entity: string;
  readonly method: "find" | "findOne" | "exists" | "count";
  readonly customer?: number;
  readonly [property: string]: unknown;
}

const text = { type: "string", minLength: 1, maxLength: 120 } as const;
export const explainQuery = {
  type: "object",
  properties: {
    entity: { type: "string", enum: Object.keys(ENTITIES) },
    method: { type: "string", enum: ["find", "findOne", "exists", "count"], default: "findOne" },
    id,
    sku,
    slug: text,
    name: text,
    email: text,
    categoryId: id,
    customer: id,
    orderId: id,
    position: id,
    productId: id,
  },
  required: ["entity"],
  additionalProperties: false,
} as const;

/** The read that a query asks about. */
export function explainedRead({ entity, method, customer, ...columns }: ExplainQuery) {
  const where: ObjectLiteral = customer === undefined ? columns : { ...columns, customer: { id: customer } };
  return { entity: ENTITIES[entity]!, method, options: { where } };
}

export function cacheRoutes(api: FastifyInstance, cache: CoherentCache): void {
  api.get("/cache/stats", () => cache.stats());

  api.get<{ Querystring: ExplainQuery }>("/cache/explain", { schema: { querystring: explainQuery } }, ({ query }) => {
    const { entity, method, options } = explainedRead(query);
    return cache.explain(entity, method, options);
  });
}
