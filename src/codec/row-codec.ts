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
  private readonly columns: readonly SelectedColumn[];
  private readonly plans = new Map<EntityMetadata, readonly HydrationStep[]>();
  private readonly discriminator: number;
  private readonly uniqueKeys: readonly Key[];

  constructor(
    private readonly dataSource: DataSource,
    private readonly model: EntityModel,
  ) {
    this.columns = model.metadata.columns
      // TypeORM selects the primary key whatever the entity says.
      .filter(({ isSelect, isPrimary }) => isSelect || isPrimary)
      .map((column) => ({
        column,
        alias: this.aliasOf(column),
        // Rows of a view are told apart by their texts.
        isMoment: MOMENTS.has(column.type) && column.transformer === undefined && model.sources === undefined,
      }));
    this.uniqueKeys = model.keys.filter(({ unique }) => unique);
    this.discriminator = this.indexOf(model.metadata.discriminatorColumn?.databaseName);
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
    const rows: unknown = JSON.parse(payload);
    if (!Array.isArray(rows) || !rows.every((row) => Array.isArray(row) && row.length === this.columns.length)) {
      throw new UnencodableValue("The payload is not a list of rows.");
    }
    return rows as StoredRow[];
  }

  /** Their entities, new ones each time; see {@link hydrate}. */
  make(rows: readonly StoredRow[]): ObjectLiteral[] {
    return rows.map((row) => this.hydrate(row));
  }

  /** Whether entities can be made of these rows more than once: what a caller gets must be his own, and JSON is handed on as it is. */
  isReusable(rows: readonly StoredRow[]): boolean {
    return rows.every((row) => row.every(isCopied));
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
    const { driver } = this.dataSource;
    for (const { index, column, property, passes } of this.planOf(metadata)) {
      const stored = row[index];
      if (property === undefined) column.setEntityValue(entity, driver.prepareHydratedValue(decodeRaw(stored), column));
      else if (passes?.(stored) === true) entity[property] = stored;
      else if (passes === isTruth && (stored === 1 || stored === 0)) entity[property] = stored === 1;
      else entity[property] = driver.prepareHydratedValue(decodeRaw(stored), column) as unknown;
    }
    return entity;
  }

  private encodeRow(row: RawRow): string {
    return JSON.stringify(
      this.columns.map(({ alias, column, isMoment }) => {
        const value: unknown = row[alias];
        if (value === undefined) throw new UnencodableValue(`The column ${alias} is not in the row.`);
        return encodeRaw(isMoment && typeof value === "string" ? this.momentIn(value, column) : value);
      }),
    );
  }

  /**
   * A text that the driver would make a date of at every hit, as that date: reading it costs more than all else that a hit does with a
   * row. The text itself if the driver does not take the date for what it would have made.
   */
  private momentIn(text: string, column: ColumnMetadata): unknown {
    const { driver } = this.dataSource;
    const moment: unknown = driver.prepareHydratedValue(text, column);
    if (!isDate(moment)) return text;
    const again: unknown = driver.prepareHydratedValue(new Date(moment), column);
    return isDate(again) && again.getTime() === moment.getTime() ? moment : text;
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
      .map((column) => ({
        index: this.indexOf(column.databaseName),
        column,
        property: column.embeddedMetadata !== undefined || column.isVirtual ? undefined : column.propertyName,
        passes: passesOf(column),
      }))
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

/** A column as it is selected and stored. */
interface SelectedColumn {
  readonly column: ColumnMetadata;
  readonly alias: string;
  /** Whether the driver makes dates of its texts. */
  readonly isMoment: boolean;
}

const MOMENTS = new Set<unknown>([Date, "datetime"]);

function isDate(value: unknown): value is Date {
  return value instanceof Date && !Number.isNaN(value.getTime());
}

/** How one column of a row gets into an entity. */
interface HydrationStep {
  readonly index: number;
  readonly column: ColumnMetadata;
  /** Where its value goes as it is; undefined if TypeORM puts it into an object inside the entity. */
  readonly property: string | undefined;
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
  const { type, transformer, isArray } = column;
  if (transformer !== undefined || isArray) return undefined;
  if (AS_THEY_ARE.has(type)) return isPrimitive;
  if (type === Boolean) return isTruth;
  return type === Number ? Number.isSafeInteger : undefined;
}

/** Whether hydration makes a new value of it each time, or it cannot be changed. */
function isCopied(stored: unknown): boolean {
  return isPrimitive(stored) || (Array.isArray(stored) && ["d", "b", "n", "f"].includes(stored[0] as string));
}

function isTruth(stored: unknown): boolean {
  return typeof stored === "boolean" || stored === null;
}

function isPrimitive(stored: unknown): boolean {
  return stored === null || typeof stored !== "object";
}

/** The payload of rows that are encoded already. */
export function payloadOf(rows: readonly string[]): string {
  return `[${rows.join(",")}]`;
}
