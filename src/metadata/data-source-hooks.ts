import type { DataSource } from "typeorm";

/** The moments in the life of a data source that a cache must not miss. */
export interface DataSourceHooks {
  /**
   * The entities are known and nothing was done with them yet: between this and the end of `initialize()` come schema
   * synchronisation and migrations, which are writes like others.
   */
  readonly onMetadata: () => Promise<void>;
  /** `destroy()` was called and the connections are still there. */
  readonly onDestroy: () => Promise<void>;
}

/** The data source of what TypeORM made for one: 1.x calls it dataSource, 0.3 connection. */
export function dataSourceOf(owner: object): DataSource | undefined {
  const { dataSource, connection } = owner as { readonly dataSource?: DataSource; readonly connection?: DataSource };
  return dataSource ?? connection;
}

/** @returns a function that takes the hooks away */
export function hookDataSource(dataSource: DataSource, hooks: DataSourceHooks): () => void {
  const hooked = dataSource as unknown as Record<"buildMetadatas" | "destroy", () => Promise<void>>;
  const buildMetadatas = hooked.buildMetadatas.bind(dataSource);
  const destroy = hooked.destroy.bind(dataSource);
  hooked.buildMetadatas = async () => {
    await buildMetadatas();
    await hooks.onMetadata();
  };
  hooked.destroy = async () => {
    await hooks.onDestroy();
    await destroy();
  };
  return () => {
    // What stands on the prototype shows again.
    delete (hooked as Partial<typeof hooked>).buildMetadatas;
    delete (hooked as Partial<typeof hooked>).destroy;
  };
}
