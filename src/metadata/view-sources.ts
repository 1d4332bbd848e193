import { inspect } from "node:util";
import type { DataSource, EntityMetadata } from "typeorm";
import { group } from "../core/tag";
import { CacheConfigError } from "../errors";
import type { ViewSource } from "../options";
import { DIALECTS } from "../sql/dialects";
import { viewQuery, type ViewQuery } from "../sql/view-query";

/** Why a view cannot be followed. */
class Unfollowed extends Error {
  constructor(
    reason: string,
    /** Whether a list of tables would help. */
    readonly declarable: boolean,
  ) {
    super(reason);
  }
}

/** What the views of a data source are made of: what their SQL names, and what is declared. */
export class ViewSources {
  private readonly dialect;
  private readonly byName = new Map<string, EntityMetadata[]>();

  constructor(
    private readonly dataSource: DataSource,
    private readonly declaredOf: (view: EntityMetadata) => readonly ViewSource[] | undefined,
  ) {
    this.dialect = DIALECTS[dataSource.options.type] ?? "sqlite";
    for (const metadata of dataSource.entityMetadatas) {
      const name = metadata.tableName.toLowerCase();
      this.byName.set(name, [...(this.byName.get(name) ?? []), metadata]);
    }
  }

  /**
   * The groups of the tables and materialized views that a view is made of, other views resolved; undefined if they cannot be
   * told and nobody asked for this view.
   *
   * @throws CacheConfigError `CONFIG_INVALID`
   */
  groupsOf(view: EntityMetadata, asked: boolean): readonly string[] | undefined {
    try {
      const found = new Set<EntityMetadata>();
      this.collect(view, found, new Set());
      return [...new Set([...found].map(({ tablePath }) => group(tablePath)))].sort();
    } catch (error) {
      if (!(error instanceof Unfollowed)) throw error;
      if (!asked) return undefined;
      const way = error.declarable
        ? "Say what it is made of, @Cached({ dependsOn: [...] }), or take @Cached off it."
        : "Take @Cached off it.";
      throw new CacheConfigError(
        "CONFIG_INVALID",
        `${view.name} is a view that cannot be followed: ${error.message}. ${way}`,
        {
          entity: view.name,
        },
      );
    }
  }

  /**
   * The groups of what a table or view of this name holds, all of that name if it is not clear which; undefined if there is none.
   *
   * @param path see `Schema.groupsReadAt`
   */
  groupsAt(path: readonly string[]): readonly string[] | undefined {
    const named = this.byName.get(path.at(-1)!) ?? [];
    if (!named.some((one) => this.isAt(one, path))) return undefined;
    const groups = new Set<string>();
    for (const one of named) {
      const isPlain = one.tableType !== "view" || this.isMaterialized(one);
      const found = isPlain ? [group(one.tablePath)] : this.groupsOf(one, false);
      if (found === undefined) return undefined;
      for (const name of found) groups.add(name);
    }
    return [...groups];
  }

  private collect(view: EntityMetadata, found: Set<EntityMetadata>, seen: Set<EntityMetadata>): void {
    seen.add(view);
    const declared = this.declaredOf(view)?.flatMap((source) => this.named(view, source));
    const sources = new Set([...(declared ?? []), ...this.read(view, declared !== undefined)]);
    for (const source of sources) {
      if (source.tableType !== "view" || this.isMaterialized(source)) found.add(source);
      if (source.tableType === "view" && !seen.has(source)) this.collect(source, found, seen);
    }
  }

  /** What the expression names; nothing for a materialized view, which only a REFRESH changes. */
  private read(view: EntityMetadata, isDeclared: boolean): readonly EntityMetadata[] {
    if (this.isMaterialized(view)) return [];
    const expression = this.expressionOf(view);
    if (expression === undefined) {
      if (isDeclared) return [];
      throw new Unfollowed(`${view.name} has no expression that names its tables`, true);
    }
    const query = viewQuery(expression, this.dialect);
    if (query.changing !== undefined) {
      throw new Unfollowed(
        `the expression of ${view.name} uses ${query.changing}: its rows change without a write`,
        false,
      );
    }
    const unclear = isDeclared ? undefined : (query.unclear ?? this.unknownIn(query));
    if (unclear !== undefined) throw new Unfollowed(`the expression of ${view.name} ${unclear}`, true);
    return [...query.names].flatMap((name) => this.byName.get(name) ?? []).filter((source) => source !== view);
  }

  private expressionOf({ expression }: EntityMetadata): string | undefined {
    if (typeof expression !== "function") return expression;
    try {
      return expression(this.dataSource).getQuery();
    } catch {
      return undefined; // Of a view that is not synchronized nobody has run it before.
    }
  }

  private unknownIn({ relations }: ViewQuery): string | undefined {
    const unknown = relations.find(
      (path) => !(this.byName.get(path.at(-1)!) ?? []).some((one) => this.isAt(one, path)),
    );
    return unknown === undefined ? undefined : `reads ${unknown.join(".")}, which is no entity of the data source`;
  }

  /** A table of the same name in another schema or database is another table. */
  private isAt({ schema, database }: EntityMetadata, path: readonly string[]): boolean {
    const { driver } = this.dataSource;
    const places = [
      schema ?? driver.schema,
      database ?? driver.database,
      this.dialect === "sqlite" ? "main" : undefined,
    ];
    return path.slice(0, -1).every((qualifier) => places.some((place) => place?.toLowerCase() === qualifier));
  }

  private named(view: EntityMetadata, source: unknown): EntityMetadata[] {
    const found =
      typeof source === "string"
        ? this.dataSource.entityMetadatas.filter(
            ({ name, tableName, tablePath }) =>
              name === source || [tableName, tablePath].some((one) => one.toLowerCase() === source.toLowerCase()),
          )
        : (typeof source === "function" || typeof source === "object") && source !== null && this.has(source)
          ? [this.dataSource.getMetadata(source as ViewSource)]
          : [];
    if (found.length > 0) return found;
    // Of two files that import each other, one does not have the other's class yet.
    const hint = source === undefined ? " Classes that import each other are named by a text." : "";
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `${view.name}: dependsOn names ${inspect(source)}, but the data source has no such entity or table.${hint}`,
      { entity: view.name },
    );
  }

  private has(source: object): boolean {
    return this.dataSource.hasMetadata(source as ViewSource);
  }

  /** Only PostgreSQL has them; elsewhere TypeORM makes a plain view. */
  private isMaterialized({ tableType, tableMetadataArgs }: EntityMetadata): boolean {
    return tableType === "view" && this.dialect === "postgres" && tableMetadataArgs.materialized === true;
  }
}
