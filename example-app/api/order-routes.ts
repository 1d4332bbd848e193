import type { FastifyInstance } from "fastify";
import type { NewOrder, Shop } from "../shop/shop";
import { id, idParams, sku } from "./schemas";

const line = {
  type: "object",
  properties: { sku, quantity: { type: "integer", minimum: 1, maximum: 99 } },
  required: ["sku", "quantity"],
  additionalProperties: false,
} as const;

const newOrder = {
  type: "object",
  properties: { customerId: id, lines: { type: "array", items: line, minItems: 1, maxItems: 20 } },
  required: ["customerId", "lines"],
  additionalProperties: false,
} as const;

export function orderRoutes(api: FastifyInstance, shop: Shop): void {
  api.get<{ Params: { id: number } }>("/customers/:id/orders", { schema: { params: idParams } }, ({ params }) =>
    shop.ordersOf(params.id),
  );

  api.post<{ Body: NewOrder }>("/orders", { schema: { body: newOrder } }, async ({ body }, reply) => {
    const { id, status, totalCents } = await shop.placeOrder(body);
    reply.code(201);
    return { id, status, totalCents };
  });
}
