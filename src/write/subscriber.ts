import type {
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
import { groupOfTable, type Schema } from "../metadata/schema";
import type { TableModel } from "../metadata/schema";
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

  afterInsert(event: InsertEvent<ObjectLiteral>): void {
    this.add(event.queryRunner, event.metadata, idOf(event), true);
  }

  afterUpdate(event: UpdateEvent<ObjectLiteral>): void {
    this.add(event.queryRunner, event.metadata, event.databaseEntity, false);
  }

  afterRemove(event: RemoveEvent<ObjectLiteral>): void {
    this.add(event.queryRunner, event.metadata, idOf(event), false);
  }

  afterSoftRemove(event: SoftRemoveEvent<ObjectLiteral>): void {
    this.add(event.queryRunner, event.metadata, idOf(event), false);
  }

  afterRecover(event: RecoverEvent<ObjectLiteral>): void {
    this.add(event.queryRunner, event.metadata, idOf(event), false);
  }

  private add(runner: QueryRunner, metadata: EntityMetadata, id: unknown, inserted: boolean): void {
    const schema = this.schema();
    const table = schema?.tableOf(groupOfTable(metadata));
    const journal = this.journalOf(runner);
    if (schema === undefined || table?.primaryKey === undefined || journal?.isOpen() !== true) return;
    const values = primaryKeyValues(table, metadata, id);
    if (values === undefined) return;
    const changes = new ChangeSet(schema);
    const rows = changes.table(table);
    if (!rows.addRow(values, inserted && table.deciding.size > 0)) return;
    if (inserted) rows.announced = 1;
    journal.record(changes);
  }
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
