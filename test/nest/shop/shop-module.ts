import { Module, type DynamicModule, type ModuleMetadata } from "@nestjs/common";
import { TerminusModule } from "@nestjs/terminus";
import { TypeOrmModule } from "@nestjs/typeorm";
import { CoherentCacheModule } from "typeorm-coherent/nest";
import { AuditController } from "./audit";
import { AuditEntry, Product } from "./entities";
import { HealthController } from "./health";
import { ProductController, ProductService } from "./products";

export { ProductService };

@Module({
  imports: [TypeOrmModule.forFeature([Product]), CoherentCacheModule.forFeature([Product])],
  providers: [ProductService],
  controllers: [ProductController],
  exports: [ProductService],
})
export class ProductModule {}

@Module({
  imports: [TypeOrmModule.forFeature([AuditEntry], "audit"), CoherentCacheModule.forFeature([AuditEntry], "audit")],
  controllers: [AuditController],
})
class AuditModule {}

@Module({ imports: [TerminusModule.forRoot({ logger: false })], controllers: [HealthController] })
class HealthModule {}

/** The root module of the shop: its feature modules, and what tests differ in. */
@Module({})
export class ShopModule {
  /** @param dataSources TypeOrmModule and CoherentCacheModule, for the default data source and for "audit" */
  static with(dataSources: NonNullable<ModuleMetadata["imports"]>): DynamicModule {
    return { module: ShopModule, imports: [ProductModule, AuditModule, HealthModule, ...dataSources] };
  }
}
