import { Logger } from "@nestjs/common";
import { messageOf } from "../core/message-of";
import type { CacheLogger } from "../options";

/** Where messages go in a Nest app that names no other logger. */
export function nestLogger(): CacheLogger {
  const logger = new Logger("CoherentCache");
  // A text behind the message would be taken for the name of a context.
  return {
    warn: (message, details) => logger.warn(details === undefined ? message : `${message} (${messageOf(details)})`),
  };
}
