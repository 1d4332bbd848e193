/**
 * An error of the client without what was sent. ioredis hangs the command on it with all its arguments (the rows of an entry; the password
 * of AUTH), and a server that does not know a command repeats the first of them; both would end up in whatever log prints the error.
 */
export function withoutValues(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { command } = error as { command?: { name?: unknown } };
  if (command !== undefined) Object.assign(error, { command: { name: command.name } });
  const at = error.message.indexOf(", with args beginning with");
  if (at >= 0) {
    // The stack begins with the message.
    if (error.stack !== undefined) error.stack = error.stack.replace(error.message, error.message.slice(0, at));
    error.message = error.message.slice(0, at);
  }
  return error;
}
