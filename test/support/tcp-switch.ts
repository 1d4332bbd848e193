import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** An address that leads to one server and then to another, as a DNS name or a proxy in front of a failover does. */
export interface TcpSwitch {
  readonly port: number;
  /** New connections go there; those that are open are cut. */
  leadTo(port: number): void;
  /** Ends every connection that is open. */
  cut(): void;
  /** Lets nothing through, and closes nothing: a cable that was pulled. What is sent meanwhile is lost, with its connection. */
  freeze(): void;
  /** Lets new connections through again; those that were frozen stay dead. */
  thaw(): void;
  /** Milliseconds by which the server's answers come later from now on. */
  delay(milliseconds: number): void;
  /**
   * The next request that holds this text reaches the server and is carried out, but its answer never comes, nor anything after it: the
   * connection stays open (silence), or ends when the server has answered (cut).
   */
  loseAnswerTo(text: string, how: "silence" | "cut"): void;
  stop(): Promise<void>;
}

/** Listens on a free port and leads to `target`. */
export async function tcpSwitch(target: number): Promise<TcpSwitch> {
  const open = new Set<Socket>();
  const dead = new Set<Socket>();
  let isFrozen = false;
  let late = 0;
  let lost: { readonly text: string; readonly how: "silence" | "cut" } | undefined;
  /** Connections to the server that nothing comes back from. */
  const mute = new Map<Socket, "silence" | "cut">();
  const cut = () => open.forEach((socket) => socket.destroy());
  const pass = (from: Socket, to: Socket, isAnswer: boolean) => {
    open.add(from);
    if (isFrozen) dead.add(from);
    from.on("error", () => undefined);
    from.once("close", () => {
      open.delete(from);
      dead.delete(from);
      mute.delete(from);
      to.destroy();
    });
    from.on("data", (chunk: Buffer) => {
      if (!isAnswer && lost !== undefined && chunk.includes(lost.text)) {
        mute.set(to, lost.how);
        lost = undefined;
      }
      if (mute.has(from)) return mute.get(from) === "cut" ? void from.destroy() : undefined;
      const send = () => {
        if (!dead.has(from) && !to.destroyed) to.write(chunk);
      };
      // Timers of one length fire in the order in which they were set.
      if (isAnswer && late > 0) setTimeout(send, late);
      else send();
    });
    from.on("end", () => {
      if (!dead.has(from)) to.end();
    });
  };
  const server = createServer((from) => {
    const to = connect(target, "127.0.0.1");
    pass(from, to, false);
    pass(to, from, true);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    leadTo(port) {
      target = port;
      cut();
    },
    cut,
    freeze() {
      isFrozen = true;
      for (const socket of open) dead.add(socket);
    },
    thaw() {
      isFrozen = false;
    },
    delay(milliseconds) {
      late = milliseconds;
    },
    loseAnswerTo(text, how) {
      lost = { text, how };
    },
    async stop() {
      server.close();
      cut();
      await once(server, "close");
    },
  };
}
