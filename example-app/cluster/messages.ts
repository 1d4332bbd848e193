import type { InvalidatedEvent } from "typeorm-coherent";

/** What the report asks of an instance. */
export type Question =
  | { readonly id: number; readonly do: "read"; readonly product: number }
  | { readonly id: number; readonly do: "setPrice"; readonly product: number; readonly priceCents: number }
  | { readonly id: number; readonly do: "close" };

/** What an instance says: that it is ready, the answer to a question, or an event as it passes. */
export type Said =
  | { readonly kind: "ready" }
  | { readonly kind: "answer"; readonly id: number; readonly priceCents: number; readonly outcome: string }
  | { readonly kind: "failed"; readonly id: number; readonly error: string }
  | { readonly kind: "event"; readonly event: InvalidatedEvent };
