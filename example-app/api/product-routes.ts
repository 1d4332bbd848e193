import type { FastifyInstance } from "fastify";
import type { ProductChanges, Shop } from "../shop/shop";
import { id, idParams, sku } from "./schemas";

const changes = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 120 },
    priceCents: { type: "integer", minimum: 0, maximum: 10_000_000 },
    stock: { type: "integer", minimum: 0, maximum: 1_000_000 },
    categoryId: id,
  },
  additionalProperties: false,
  minProperties: 1,
} as const;

export function productRoutes(api: FastifyInstance, shop: Shop): void {
  api.get<{ Params: { id: number } }>("/products/:id", { schema: { params: idParams } }, ({ params }) =>
    shop.product(params.id),
  );

  const skuParams = { type: "object", properties: { sku }, required: ["sku"] };
  api.get<{ Params: { sku: string } }>("/products/by-sku/:sku", { schema: { params: skuParams } }, ({ params }) =>
    shop.productBySku(params.sku),
  );

  api.get<{ Params: { id: number } }>("/categories/:id/products", { schema: { params: idParams } }, ({ params }) =>
    shop.productsOf(params.id),
  );

  api.patch<{ Params: { id: number }; Body: ProductChanges }>(
    "/products/:id",
    { schema: { params: idParams, body: changes } },
    ({ params, body }) => shop.changeProduct(params.id, body),
  );
}
