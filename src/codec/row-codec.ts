import { LRUCache } from "lru-cache";
import type { DataSource, EntityMetadata, ObjectLiteral } from "typeorm";
import { DriverUtils } from "typeorm/driver/DriverUtils";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata";
import type { EntityModel, Key } from "../metadata/entity-model";
import { decodeRaw, encodeRaw, UnencodableValue } from "./raw-value";

/** The alias under which rows are selected; short, so that few names get longer than a database allows. */
export const ALIAS = "e";

/** A row as stored: one encoded value per selected column, in the order of the metadata. */
export type StoredRow = readonly unknown[];

/** A row as a driver returns it for a select under {@link ALIAS}. */
export type RawRow = Readonly<Record<string, unknown>>;

/** What is kept of a row that was loaded. */
export interface RowImage {
  /** The row as it is stored; undefined if it holds a value that cannot be stored exactly. */
  readonly text: string | undefined;
  readonly primaryKey: readonly unknown[];
  /** The values of the unique keys, the primary key among them. */
  readonly unique: ReadonlyMap<Key, readonly unknown[]>;
}

/**
 * Turns the rows of one entity into payloads and back into entities that equal TypeORM's own: same class, same properties,
 * transformers and embedded objects applied.
 */
export class RowCodec {
  private readonly columns: readonly { readonly column: ColumnMetadata; readonly alias: string }[];
  private readonly plans = new Map<EntityMetadata, readonly HydrationStep[]>();
  private readonly discriminator: number;
  private readonly uniqueKeys: readonly Key[];
  /** Rows by their payload, where copies of payloads are kept in this process. */
  private readonly decoded: LRUCache<string, readonly StoredRow[]> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly model: EntityModel,
  ) {
    this.columns = model.metadata.columns
      // TypeORM selects the primary key whatever the entity says.
      .filter(({ isSelect, isPrimary }) => isSelect || isPrimary)
      .map((column) => ({ column, alias: this.aliasOf(column) }));
    this.uniqueKeys = model.keys.filter(({ unique }) => unique);
    this.discriminator = this.indexOf(model.metadata.discriminatorColumn?.databaseName);
    const { near } = model.settings;
    this.decoded =
      near &&
      new LRUCache({
        max: near.max,
        maxSize: near.maxBytes,
        sizeCalculation: (_rows, payload) => 2 * payload.length + 1,
      });
  }

  /**
   * @throws UnencodableValue if a value would not come back exactly, or a column is missing
   */
  encode(rows: readonly RawRow[]): string {
    return payloadOf(rows.map((row) => this.encodeRow(row)));
  }

  /**
   * To be called before anything else gets hold of the row: TypeORM hands the driver's own objects (dates, bytes, JSON) on to
   * transformers, listeners and at last to the caller, who may change them.
   */
  imageOf(row: RawRow): RowImage {
    const primaryKey = this.valuesOf(row, this.model.primaryKey.columns);
    const unique = new Map(this.uniqueKeys.map((key) => [key, this.valuesOf(row, key.columns)]));
    try {
      return { primaryKey, unique, text: this.encodeRow(row) };
    } catch (error) {
      if (error instanceof UnencodableValue) return { primaryKey, unique, text: undefined };
      throw error;
    }
  }

  /** @throws if the payload is not what {@link encode} makes for this entity */
  decode(payload: string): readonly StoredRow[] {
    const known = this.decoded?.get(payload);
    if (known !== undefined) return known;
    const rows: unknown = JSON.parse(payload);
    if (!Array.isArray(rows) || !rows.every((row) => Array.isArray(row) && row.length === this.columns.length)) {
      throw new UnencodableValue("The payload is not a list of rows.");
    }
    const stored = rows as StoredRow[];
    // What a caller gets must be his own, and JSON is handed on as it is.
    if (this.decoded !== undefined && stored.every((row) => row.every(isCopied))) this.decoded.set(payload, stored);
    return stored;
  }

  /** The values of some columns in a row as the driver returned it. */
  valuesOf(row: RawRow, columns: readonly { readonly databaseName: string }[]): unknown[] {
    return columns.map((column) => row[this.aliasOf(column)]);
  }

  /**
   * An entity as TypeORM would make it of the same row; its load listeners have not run.
   *
   * @throws if the row is not one that {@link encode} has made
   */
  hydrate(row: StoredRow): ObjectLiteral {
    const metadata = this.metadataOf(row);
    const entity = metadata.create(undefined, { fromDeserializer: true }) as ObjectLiteral;
    for (const { index, column, passes } of this.planOf(metadata)) {
      const stored = row[index];
      if (passes !== undefined && passes(stored)) entity[column.propertyName] = stored;
      else column.setEntityValue(entity, this.dataSource.driver.prepareHydratedValue(decodeRaw(stored), column));
    }
    return entity;
  }

  private encodeRow(row: RawRow): string {
    return JSON.stringify(
      this.columns.map(({ alias }) => {
        if (row[alias] === undefined) throw new UnencodableValue(`The column ${alias} is not in the row.`);
        return encodeRaw(row[alias]);
      }),
    );
  }

  /** In single-table inheritance a row of the parent's table may be a child. */
  private metadataOf(row: StoredRow): EntityMetadata {
    if (this.discriminator < 0) return this.model.metadata;
    const value = decodeRaw(row[this.discriminator]);
    return (
      this.model.metadata.childEntityMetadatas.find((child) => child.discriminatorValue === value) ??
      this.model.metadata
    );
  }

  private planOf(metadata: EntityMetadata): readonly HydrationStep[] {
    const known = this.plans.get(metadata);
    if (known !== undefined) return known;
    const plan = metadata.columns
      .filter(
        (column) => !column.isVirtual && !metadata.childEntityMetadatas.some((child) => child.target === column.target),
      )
      .map((column) => ({ index: this.indexOf(column.databaseName), column, passes: passesOf(column) }))
      .filter(({ index }) => index >= 0);
    this.plans.set(metadata, plan);
    return plan;
  }

  private indexOf(databaseName: string | undefined): number {
    return this.columns.findIndex(({ column }) => column.databaseName === databaseName);
  }

  /** What TypeORM calls a column in its selects; a name that is too long for the database is replaced by a digest. */
  private aliasOf({ databaseName }: { readonly databaseName: string }): string {
    return DriverUtils.buildAlias(this.dataSource.driver, undefined, ALIAS, databaseName);
  }
}

/** How one column of a row gets into an entity. */
interface HydrationStep {
  readonly index: number;
  readonly column: ColumnMetadata;
  readonly passes: ((stored: unknown) => boolean) | undefined;
}

/** Types whose values TypeORM's drivers hand on as they are, whichever driver it is. */
const AS_THEY_ARE = new Set<unknown>([
  String,
  ..."int integer smallint bigint varchar text uuid real decimal numeric".split(" "),
  "character varying",
  "double precision",
]);

/**
 * Tells which stored values of a column TypeORM would put into the entity unchanged; undefined if it might do something with any.
 */
function passesOf(column: ColumnMetadata): HydrationStep["passes"] {
  const { type, transformer, embeddedMetadata, isVirtual, isArray } = column;
  if (transformer !== undefined || embeddedMetadata !== undefined || isVirtual || isArray) return undefined;
  if (AS_THEY_ARE.has(type)) return isPrimitive;
  return type === Number ? Number.isSafeInteger : undefined;
}

/** Whether hydration makes a new value of it each time, or it cannot be changed. */
function isCopied(stored: unknown): boolean {
  return isPrimitive(stored) || (Array.isArray(stored) && ["d", "b", "n", "f"].includes(stored[0] as string));
}

function isPrimitive(stored: unknown): boolean {
  return stored === null || typeof stored !== "object";
}

/** The payload of rows that are encoded already. */
export function payloadOf(rows: readonly string[]): string {
  return `[${rows.join(",")}]`;
}
