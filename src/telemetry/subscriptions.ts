import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { CacheEventName } from "../events";
import type { EventMessages } from "./event-channels";
import type { OperationName, TracedOperation } from "./operations";

/** What a bridge listens to, until it ends. */
export class Subscriptions {
  private readonly undo: (() => void)[] = [];

  /** Calls `listener` with what the channel of an event tells. */
  event<Name extends CacheEventName>(name: Name, listener: (message: EventMessages[Name]) => void): void {
    this.listen(`typeorm-coherent:${name}`, listener);
  }

  /** Calls `listener` whenever an operation is over, whether it failed or not. */
  operation<Name extends OperationName>(name: Name, listener: (operation: TracedOperation<Name>) => void): void {
    this.listen(`tracing:typeorm-coherent:${name}:asyncEnd`, listener);
  }

  end(): void {
    for (const step of this.undo.splice(0)) step();
  }

  private listen<Message>(channel: string, listener: (message: Message) => void): void {
    const heard = (message: unknown) => listener(message as Message);
    subscribe(channel, heard);
    this.undo.push(() => unsubscribe(channel, heard));
  }
}
