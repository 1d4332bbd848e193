import type { ServerResponse } from "node:http";

/** Bytes that a browser may leave unread; one that leaves more is cut off, and comes back by itself. */
const MOST_UNREAD = 1_000_000;

/** Sends the same to all browsers that listen, as server-sent events. */
export class Stream {
  private readonly responses = new Set<ServerResponse>();

  get listeners(): number {
    return this.responses.size;
  }

  /** Takes over a response. What `first` gives is sent to it alone. */
  open(response: ServerResponse, first: () => readonly [event: string, data: object]): void {
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    response.write(textOf(...first()));
    this.responses.add(response);
    response.once("close", () => this.responses.delete(response));
  }

  send(event: string, data: object): void {
    if (this.responses.size === 0) return;
    const text = textOf(event, data);
    for (const response of this.responses) {
      if (response.writableLength > MOST_UNREAD) response.destroy();
      else response.write(text);
    }
  }

  /** An open stream would keep the server from closing. */
  close(): void {
    for (const response of this.responses) response.destroy();
  }
}

function textOf(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
