import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** An address that leads to one server and then to another, as a DNS name or a proxy in front of a failover does. */
export interface TcpSwitch {
  readonly port: number;
  /** New connections go there; those that are open are cut. */
  leadTo(port: number): void;
  stop(): Promise<void>;
}

/** Listens on a free port and leads to `target`. */
export async function tcpSwitch(target: number): Promise<TcpSwitch> {
  const open = new Set<Socket>();
  const cut = () => open.forEach((socket) => socket.destroy());
  const server = createServer((from) => {
    const to = connect(target, "127.0.0.1");
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      open.add(one);
      one.on("error", () => undefined);
      one.once("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    leadTo(port) {
      target = port;
      cut();
    },
    async stop() {
      server.close();
      cut();
      await once(server, "close");
    },
  };
}
