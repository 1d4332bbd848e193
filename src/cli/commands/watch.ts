import ms from "ms";
import { ChangeChannel, type ChannelListener } from "../../feed/change-channel";
import { milliseconds } from "../../metadata/entity-settings";
import { breakerSettings } from "../../store/redis/breaker-options";
import { RedisSubscriber } from "../../store/redis/redis-subscriber";
import { Spread } from "../../store/redis/spread";
import { wholeNumber } from "../arguments";
import { EXIT } from "../exit-codes";
import type { Run } from "../program";
import type { Terminal } from "../terminal";

/** The options of `watch`. */
export interface WatchOptions {
  readonly table?: string;
  readonly limit?: string;
  readonly for?: string;
}

const HEARTBEAT = 1000;
const TIMEOUT = 1000;

/** What a message begins with that is signed. */
const SIGNATURE = /^[0-9a-f]{64} /;

/** `watch` */
export const watch: Run<WatchOptions> = async ({ target, terminal }, options) => {
  const most = options.limit === undefined ? Infinity : wholeNumber(options.limit, "--limit");
  const duration = options.for === undefined ? undefined : milliseconds(options.for, "--for");
  // A node of a cluster hears what is sent to others, and where there is no cluster nobody uses the further ones.
  const channels = Spread.overCluster().channels(target.namespace);
  const [{ channel }] = channels;
  const secret = target.channelSecret;
  const { client, address } = await target.connectedRedis();
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  let printed = 0;
  const tell = (table: string | undefined, data: object, line: string) => {
    if (printed >= most || (options.table !== undefined && table !== undefined && !isTable(table, options.table)))
      return;
    const at = new Date();
    printTo(terminal, { at: at.toISOString(), ...data }, `${at.toISOString()} ${line}`);
    if (table === undefined) return;
    printed += 1;
    if (printed >= most) end();
  };
  const heard = new ChangeChannel(
    "",
    secret,
    listener(tell, (line) => terminal.say(line)),
  );
  const subscriber = new RedisSubscriber(client, {
    channels: channels.map((one) => one.channel),
    heartbeat: HEARTBEAT,
    timeout: TIMEOUT,
    pauses: breakerSettings(undefined),
    listener: {
      // Who has no secret cannot tell who has signed, and is told what they say all the same.
      message: (text) => heard.message(secret === undefined ? text.replace(SIGNATURE, "") : text),
      up: () => {
        heard.up();
        terminal.say(`Listening to ${channel} at ${address}; Ctrl-C ends.`);
      },
      down: (cause) => heard.down(cause),
      confirmed: () => undefined,
    },
  });
  process.once("SIGINT", end).once("SIGTERM", end);
  const timer = duration === undefined ? undefined : setTimeout(end, duration);
  await ended;
  clearTimeout(timer);
  subscriber.close();
  return EXIT.ok;
};

type Tell = (table: string | undefined, data: object, line: string) => void;

function listener(tell: Tell, say: (line: string) => void): ChannelListener {
  return {
    told: ({ table, operation, rows, tags }, origin, sequence) =>
      tell(
        table,
        { kind: "invalidated", table, operation, rows, tags, origin, sequence },
        `${operation} ${table} ${rowsText(rows)} by ${origin}#${sequence}: ${tags.join(" ")}`,
      ),
    locked: (tags, origin) => {
      const table = tags[0]?.slice(0, tags[0].indexOf("|")) ?? "";
      tell(table, { kind: "locked", tags, origin }, `lock by ${origin}: ${tags.join(" ")}`);
    },
    asked: ({ table, operation, rows }) =>
      tell(
        table,
        { kind: "asked", table, operation, rows },
        `${operation} ${table} ${rowsText(rows)} asked for by another program`,
      ),
    rejected: (why) => tell(undefined, { kind: "rejected", why }, `ignored: a message that is ${why}`),
    gap: (reason, origin) =>
      tell(
        undefined,
        { kind: "gap", reason, origin: origin ?? null },
        `gap (${reason}): messages of ${origin ?? "anybody"} may be missing`,
      ),
    lost: () => say(`Nothing comes in; trying again, after ${ms(2000)} at the latest.`),
    confirmed: () => undefined,
  };
}

/** One object a line, since nobody knows when it ends. */
function printTo(terminal: Terminal, data: object, line: string): void {
  terminal.print(terminal.json ? JSON.stringify(data) : line);
}

function rowsText(rows: readonly object[] | null): string {
  return rows === null ? "any row" : rows.map((row) => JSON.stringify(row)).join(" ");
}

/** With or without its schema. */
function isTable(path: string, name: string): boolean {
  return path === name || path.endsWith(`.${name}`);
}
