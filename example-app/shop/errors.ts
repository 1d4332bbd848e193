/** Something that the shop refuses; Fastify answers with `statusCode` and the message. */
export class ShopError extends Error {
  constructor(
    readonly statusCode: 404 | 409,
    message: string,
  ) {
    super(message);
  }
}

export class NotFound extends ShopError {
  constructor(what: string) {
    super(404, `There is no ${what}.`);
  }
}

export class OutOfStock extends ShopError {
  constructor(name: string, left: number, wanted: number) {
    super(409, `${name}: ${wanted} ordered, ${left} in stock. Nothing was ordered.`);
  }
}
