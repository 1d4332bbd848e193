import type {
  DataSource,
  EntityMetadata,
  EntitySubscriberInterface,
  InsertEvent,
  ObjectLiteral,
  QueryRunner,
  RecoverEvent,
  RemoveEvent,
  SoftRemoveEvent,
  UpdateEvent,
} from "typeorm";
import type { Tag } from "../core/tag";
import { keyTag } from "../metadata/cached-query";
import { groupOfTable } from "../metadata/reachable";
import type { Schema, TableModel } from "../metadata/schema";
import { ChangeSet } from "./change-set";
import type { TransactionJournal } from "./transaction-journal";

/**
 * Hears of rows from TypeORM's events and adds them to the journal of their transaction. It makes writes precise: the
 * statement observer alone would see every write too, but an INSERT says its generated id only here. Whatever fires no
 * event, or one without an id, stays as coarse as its statement.
 */
export class CacheSubscriber implements EntitySubscriberInterface {
  constructor(
    private readonly schema: () => Schema | undefined,
    private readonly journalOf: (runner: QueryRunner) => TransactionJournal | undefined,
  ) {}

  /** @returns a function that takes it away again */
  attach({ subscribers }: DataSource): () => void {
    subscribers.push(this);
    return () => {
      const at = subscribers.indexOf(this);
      if (at >= 0) subscribers.splice(at, 1);
    };
  }

  afterInsert(event: InsertEvent<ObjectLiteral>): void {
    this.add(event, idOf(event), "inserted");
  }

  afterUpdate(event: UpdateEvent<ObjectLiteral>): void {
    this.add(event, event.databaseEntity, "changed");
  }

  afterRemove(event: RemoveEvent<ObjectLiteral>): void {
    this.add(event, idOf(event), "changed");
  }

  afterSoftRemove(event: SoftRemoveEvent<ObjectLiteral>): void {
    this.add(event, idOf(event), "changed");
  }

  afterRecover(event: RecoverEvent<ObjectLiteral>): void {
    this.add(event, idOf(event), "changed");
  }

  private add({ queryRunner, metadata }: RowEvent, id: unknown, what: "inserted" | "changed"): void {
    const schema = this.schema();
    const table = schema?.tableOf(groupOfTable(metadata));
    const journal = this.journalOf(queryRunner);
    if (schema === undefined || table?.primaryKey === undefined || journal?.isOpen() !== true) return;
    const changes = new ChangeSet(schema);
    try {
      const values = primaryKeyValues(table, metadata, id);
      if (values === undefined) return;
      if (what === "inserted") return journal.recordInserted(table, values, table.deciding.size > 0);
      const rows = changes.table(table);
      rows.addRow(values, "as before");
      for (const tag of suspectedTags(table, metadata, id)) rows.suspected.add(tag);
    } catch {
      // A transformer may not like what an event carries: no reason to fail the caller's write.
      changes.table(table).touchAll();
    }
    journal.record(changes);
  }
}

interface RowEvent {
  readonly queryRunner: QueryRunner;
  readonly metadata: EntityMetadata;
}

/** The unique keys of a row as it was read before it was written; whether it still had them is not known. */
function suspectedTags(table: TableModel, metadata: EntityMetadata, row: unknown): Tag[] {
  if (!isMap(row) || !table.models.some(({ settings }) => settings.strategy === "write-through")) return [];
  return table.keys
    .filter(({ unique }) => unique)
    .flatMap((key) => {
      const columns = key.columns.map(({ databaseName }) =>
        metadata.columns.find((column) => column.databaseName === databaseName),
      );
      const values = columns.map((column): unknown => column?.getEntityValue(row, true));
      return values.every((value) => value !== undefined && value !== null)
        ? (keyTag(table.group, key, values) ?? [])
        : [];
    });
}

function idOf(event: { readonly entity?: unknown; readonly entityId?: unknown }): unknown {
  return event.entityId ?? event.entity;
}

/**
 * The primary key as the database has it, transformers applied; undefined if the event does not carry all of it. An event's id
 * is the bare value where the key is one column, and a map otherwise.
 */
function primaryKeyValues(table: TableModel, metadata: EntityMetadata, id: unknown): unknown[] | undefined {
  const columns = (table.primaryKey?.columns ?? []).map(({ databaseName }) =>
    metadata.columns.find((column) => column.databaseName === databaseName),
  );
  const [only] = columns;
  const map: unknown = isMap(id) || columns.length !== 1 ? id : only?.createValueMap(id);
  if (!isMap(map)) return undefined;
  const values = columns.map((column): unknown => column?.getEntityValue(map, true));
  return values.some((value) => value === undefined || value === null) ? undefined : values;
}

function isMap(id: unknown): id is ObjectLiteral {
  return typeof id === "object" && id !== null && !Buffer.isBuffer(id) && !(id instanceof Date);
}
