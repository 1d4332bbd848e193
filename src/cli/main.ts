#!/usr/bin/env node
import { execute } from "./program";

// Clients and pools of the application's own module would keep the process; what was printed is waited for.
void execute(process.argv.slice(2)).then((code) => {
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
});
