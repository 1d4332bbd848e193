import { Controller, Get } from "@nestjs/common";
import { HealthCheck, HealthCheckService, type HealthCheckResult } from "@nestjs/terminus";
import { CoherentCacheHealthIndicator } from "typeorm-coherent/nest";

@Controller("health")
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly cache: CoherentCacheHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([
      () => this.cache.check("cache"),
      () => this.cache.check("audit-cache", { dataSource: "audit" }),
    ]);
  }
}
