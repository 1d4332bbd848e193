import type { EntityMetadata } from "typeorm";
import { group } from "../core/tag";

/** The group of an entity's table. */
export function groupOfTable(metadata: EntityMetadata): string {
  return group(metadata.tablePath);
}

/** The groups of all tables that relations lead to from these entities, join tables and closure tables included. */
export function reachableFrom(metadatas: readonly EntityMetadata[]): Set<string> {
  const seen = new Set<EntityMetadata>();
  const visit = (metadata: EntityMetadata | undefined): void => {
    if (metadata === undefined || seen.has(metadata)) return;
    seen.add(metadata);
    visit(metadata.closureJunctionTable);
    for (const child of metadata.childEntityMetadatas) visit(child);
    for (const { inverseEntityMetadata, junctionEntityMetadata } of metadata.relations) {
      visit(inverseEntityMetadata);
      visit(junctionEntityMetadata);
    }
  };
  for (const metadata of metadatas) visit(metadata);
  return new Set(Array.from(seen, groupOfTable));
}
