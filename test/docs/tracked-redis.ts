import { Redis as Client } from "ioredis";

const opened = new Set<Client>();

/** ioredis' client, of which the docs open some and close none. */
export class Redis extends Client {
  constructor(url: string) {
    super(url);
    opened.add(this);
  }
}

/** Closes those that were opened. */
export function disconnectAll(): void {
  for (const client of opened) client.disconnect();
  opened.clear();
}
