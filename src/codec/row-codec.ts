import type { DataSource, EntityMetadata, ObjectLiteral } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata";
import type { EntityModel } from "../metadata/entity-model";
import { decodeRaw, encodeRaw, UnencodableValue } from "./raw-value";

/** The alias under which rows are selected; short, so that no database's limit on names makes TypeORM replace a column's. */
export const ALIAS = "e";

/** A row as stored: one encoded value per selected column, in the order of the metadata. */
export type StoredRow = readonly unknown[];

/** A row as a driver returns it for a select under {@link ALIAS}. */
export type RawRow = Readonly<Record<string, unknown>>;

/**
 * Turns the rows of one entity into payloads and back into entities that equal TypeORM's own: same class, same properties,
 * transformers and embedded objects applied.
 */
export class RowCodec {
  private readonly columns: readonly { readonly column: ColumnMetadata; readonly alias: string }[];
  private readonly plans = new Map<EntityMetadata, readonly (readonly [number, ColumnMetadata])[]>();
  private readonly discriminator: number;

  constructor(
    private readonly dataSource: DataSource,
    private readonly model: EntityModel,
  ) {
    this.columns = model.metadata.columns
      .filter(({ isSelect }) => isSelect)
      .map((column) => ({ column, alias: `${ALIAS}_${column.databaseName}` }));
    this.discriminator = this.indexOf(model.metadata.discriminatorColumn?.databaseName);
  }

  /**
   * @throws UnencodableValue if a value would not come back exactly, or a column is missing
   */
  encode(rows: readonly RawRow[]): string {
    return JSON.stringify(
      rows.map((row) =>
        this.columns.map(({ alias }) => {
          if (row[alias] === undefined) throw new UnencodableValue(`The column ${alias} is not in the row.`);
          return encodeRaw(row[alias]);
        }),
      ),
    );
  }

  /** @throws if the payload is not what {@link encode} makes for this entity */
  decode(payload: string): StoredRow[] {
    const rows: unknown = JSON.parse(payload);
    if (Array.isArray(rows) && rows.every((row) => Array.isArray(row) && row.length === this.columns.length)) {
      return rows as StoredRow[];
    }
    throw new UnencodableValue("The payload is not a list of rows.");
  }

  /** The values of some columns in a row as the driver returned it. */
  valuesOf(row: RawRow, columns: readonly { readonly databaseName: string }[]): unknown[] {
    return columns.map(({ databaseName }) => row[`${ALIAS}_${databaseName}`]);
  }

  /** An entity as TypeORM would make it of the same row; its load listeners have not run. */
  hydrate(row: StoredRow): ObjectLiteral {
    const metadata = this.metadataOf(row);
    const entity = metadata.create(undefined, { fromDeserializer: true }) as ObjectLiteral;
    for (const [index, column] of this.planOf(metadata)) {
      column.setEntityValue(entity, this.dataSource.driver.prepareHydratedValue(decodeRaw(row[index]), column));
    }
    return entity;
  }

  /** In single-table inheritance a row of the parent's table may be a child. */
  private metadataOf(row: StoredRow): EntityMetadata {
    if (this.discriminator < 0) return this.model.metadata;
    const value = decodeRaw(row[this.discriminator]);
    return this.model.metadata.childEntityMetadatas.find((child) => child.discriminatorValue === value) ?? this.model.metadata;
  }

  private planOf(metadata: EntityMetadata): readonly (readonly [number, ColumnMetadata])[] {
    const known = this.plans.get(metadata);
    if (known !== undefined) return known;
    const plan = metadata.columns
      .filter(
        (column) =>
          !column.isVirtual && !metadata.childEntityMetadatas.some((child) => child.target === column.target),
      )
      .map((column) => [this.indexOf(column.databaseName), column] as const)
      .filter(([index]) => index >= 0);
    this.plans.set(metadata, plan);
    return plan;
  }

  private indexOf(databaseName: string | undefined): number {
    return this.columns.findIndex(({ column }) => column.databaseName === databaseName);
  }
}
