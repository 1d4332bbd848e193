import { Body, Controller, Get, Param, Post } from "@nestjs/common";
import { type CachedRepository, type CacheStats, type CoherentCache } from "typeorm-coherent";
import { InjectCache, InjectCachedRepository } from "typeorm-coherent/nest";
import { AuditEntry } from "./entities";

@Controller("audit")
export class AuditController {
  constructor(
    @InjectCachedRepository(AuditEntry, "audit") private readonly entries: CachedRepository<AuditEntry>,
    @InjectCache("audit") private readonly cache: CoherentCache,
  ) {}

  @Get("stats")
  stats(): CacheStats {
    return this.cache.stats();
  }

  @Get(":sku")
  of(@Param("sku") sku: string): Promise<AuditEntry[]> {
    return this.entries.findBy({ sku });
  }

  @Post(":sku")
  async add(@Param("sku") sku: string, @Body("text") text: string): Promise<void> {
    await this.entries.save({ sku, text });
  }
}
