import { once } from "node:events";
import type { FastifyInstance } from "fastify";
import { UsageError } from "./flags";
import type { Report } from "./tour/report";

/** Serves the API, and the page to watch the cache where there is one, until the process is told to end. A second Ctrl-C does not wait for open requests. */
export async function serve(api: FastifyInstance, port: number, report: Report): Promise<void> {
  const address = await api.listen({ port, host: "127.0.0.1" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EADDRINUSE" || error.code === "EACCES") {
      throw new UsageError(
        `--port ${port} cannot be used (${error.code}); name another one, or 0 for any that is free.`,
      );
    }
    throw error;
  });
  report.line();
  if (api.hasRoute({ method: "GET", url: "/" })) report.line(`Watch the cache at ${address}/`);
  report.line(`The API is up at ${address} until Ctrl-C. Try:`);
  report.line();
  for (const example of EXAMPLES) report.line(`  ${example.replace("$", address)}`);
  report.line();
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  report.line("Closing …");
}

const EXAMPLES = [
  "curl -i $/products/17",
  "curl -i $/products/by-sku/KIT-001",
  "curl -i $/categories/3/products",
  "curl -i $/customers/7/orders",
  `curl -i -X PATCH $/products/17 --json '{"priceCents": 4990}'`,
  `curl -i $/orders --json '{"customerId": 7, "lines": [{"sku": "KIT-001", "quantity": 2}]}'`,
  "curl -i $/cache/stats",
  "curl -i '$/cache/explain?entity=Product&sku=KIT-001'",
];
