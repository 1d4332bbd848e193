import {
  Column,
  Entity,
  ManyToOne,
  PrimaryGeneratedColumn,
  Tree,
  TreeChildren,
  TreeParent,
  type EntityManager,
} from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";
import type { Write } from "./forms";
import { coarse, coarseAlone, exact, NEXT_ID, precise, sorted, wide, type Shape, type WritePath } from "./shape";

interface TreeNode {
  id: number;
  name: string;
  parentId: number | null;
  parent: TreeNode | null;
  children: TreeNode[];
}

@Entity()
@Tree("closure-table")
@Cached()
class Branch implements TreeNode {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
  @CacheKey() @Column({ type: "int", nullable: true }) parentId!: number | null;
  @TreeChildren({ cascade: true }) children!: Branch[];
  @TreeParent({ onDelete: "CASCADE" }) parent!: Branch | null;
}

@Entity()
@Tree("nested-set")
@Cached()
class Chapter implements TreeNode {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
  @CacheKey() @Column({ type: "int", nullable: true }) parentId!: number | null;
  @TreeChildren({ cascade: true }) children!: Chapter[];
  @TreeParent({ onDelete: "CASCADE" }) parent!: Chapter | null;
}

@Entity()
@Tree("materialized-path")
@Cached()
class Folder implements TreeNode {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
  @CacheKey() @Column({ type: "int", nullable: true }) parentId!: number | null;
  @TreeChildren({ cascade: true }) children!: Folder[];
  @TreeParent({ onDelete: "CASCADE" }) parent!: Folder | null;
}

/** A tree by its parent's id alone. */
@Entity()
@Cached()
class Post {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
  @CacheKey() @Column({ type: "int", nullable: true }) parentId!: number | null;
  @ManyToOne(() => Post, { onDelete: "CASCADE", nullable: true }) parent!: Post | null;
}

type NodeClass = new () => TreeNode;

/** Ids: the root has two children, one of which has a child. */
const [ROOT, CHILD, GRANDCHILD, OTHER] = [1, 2, 3, 4] as const;

/** How precise a kind of tree is where its nodes come, move, and get another name: by what TypeORM writes for it. */
interface Ways {
  readonly grow: (write: Write) => WritePath;
  readonly rename: (write: Write) => WritePath;
}

function tree(entity: NodeClass, name: string, ways: Ways, more: Record<string, WritePath>): Shape {
  const trees = (m: EntityManager) => m.getTreeRepository(entity);
  return {
    name,
    entities: [entity],
    seed: async ({ manager }) => {
      const add = (id: number, title: string, parent: TreeNode | null) =>
        trees(manager).save(Object.assign(new entity(), { id, name: title, parent }));
      const root = await add(ROOT, "root", null);
      const child = await add(CHILD, "child", root);
      await add(GRANDCHILD, "grandchild", child);
      await add(OTHER, "other", root);
    },
    reads: (of) => nodeReads(of(entity as new () => Post)),
    other: (m) => m.update(entity, OTHER, { name: "changed" }),
    paths: () => ({ ...treePaths(entity, ways), ...more }),
  };
}

function nodeReads(nodes: ReturnType<Parameters<Shape["reads"]>[0]>): ReturnType<Shape["reads"]> {
  const all: ReturnType<Shape["reads"]> = {};
  for (const id of [ROOT, CHILD, GRANDCHILD, OTHER, NEXT_ID]) all[`id ${id}`] = exact(() => nodes.findOneBy({ id }));
  for (const name of ["child", "grandchild", "other", "leaf"]) {
    all[`name ${name}`] = exact(() => sorted(nodes.findBy({ name })));
  }
  for (const parentId of [ROOT, CHILD, GRANDCHILD, OTHER]) {
    all[`children of ${parentId}`] = exact(() => sorted(nodes.findBy({ parentId })));
    all[`number of children of ${parentId}`] = wide(() => nodes.countBy({ parentId }));
  }
  const where = { parent: { name: "child" } };
  all["children of child, by a join"] = wide(() => sorted(nodes.find({ where, relations: { parent: true } })));
  return all;
}

/** What TypeORM's tree repository does, and what one does to the nodes past it. */
function treePaths(entity: NodeClass, { grow, rename }: Ways): Record<string, WritePath> {
  const trees = (m: EntityManager) => m.getTreeRepository(entity);
  const node = (m: EntityManager, id: number) => trees(m).findOneByOrFail({ id });
  const made = (values: Partial<TreeNode>): TreeNode => Object.assign(new entity(), values);
  return {
    "a new child": grow(async (m) => trees(m).save(made({ name: "leaf", parent: await node(m, CHILD) }))),
    "a new child among its parent's children": grow(async (m) => {
      const parent = await node(m, OTHER);
      return trees(m).save(Object.assign(parent, { children: [made({ name: "leaf" })] }));
    }),
    "new children of several levels": grow(async (m) => {
      const leaf = await trees(m).save(made({ name: "leaf", parent: await node(m, OTHER) }));
      await trees(m).save(made({ name: "leaf", parent: leaf }));
    }),
    "another parent": grow(async (m) => {
      const [other, grandchild] = [await node(m, OTHER), await node(m, GRANDCHILD)];
      return trees(m).save(Object.assign(grandchild, { parent: other }));
    }),
    "another parent for a subtree": grow(async (m) => {
      const [other, child] = [await node(m, OTHER), await node(m, CHILD)];
      return trees(m).save(Object.assign(child, { parent: other }));
    }),
    "another name": rename(async (m) => trees(m).save(Object.assign(await node(m, CHILD), { name: "leaf" }))),
    "removal of a leaf": coarse(async (m) => trees(m).remove(await node(m, GRANDCHILD))),
    "removal of a subtree": coarse(async (m) => trees(m).remove(await node(m, CHILD))),
    "removal of all of a subtree": coarse(async (m) =>
      trees(m).remove([await node(m, GRANDCHILD), await node(m, CHILD)]),
    ),
    ...adjacencyPaths(entity),
  };
}

/** Without a look at what else the tree is kept by. */
function adjacencyPaths(entity: new () => Post): Record<string, WritePath> {
  const nodes = (m: EntityManager) => m.getRepository(entity);
  const parent = (m: EntityManager) => m.connection.driver.escape("parentId");
  const table = entity.name.toLowerCase();
  return {
    "update of a name by id": coarseAlone((m) => nodes(m).update(CHILD, { name: "leaf" })),
    "update of the parent by id": coarseAlone((m) => nodes(m).update(GRANDCHILD, { parentId: OTHER })),
    "update of children by their parent": coarse((m) => nodes(m).update({ parentId: CHILD }, { name: "leaf" })),
    "delete of a leaf by id": coarse((m) => nodes(m).delete(GRANDCHILD)),
    "delete of a subtree by id": coarse((m) => nodes(m).delete(CHILD)),
    "delete of the root": coarse((m) => nodes(m).delete(ROOT)),
    "delete of children by their parent": coarse((m) => nodes(m).delete({ parentId: ROOT })),
    "raw update of parents": coarse((m) => m.query(`UPDATE ${table} SET ${parent(m)} = 4 WHERE ${parent(m)} = 2`)),
    "raw delete of a subtree": coarse((m) => m.query(`DELETE FROM ${table} WHERE id = 2`)),
  };
}

const POSTS: Shape = {
  name: "a tree by parents",
  entities: [Post],
  seed: ({ manager }) =>
    manager.save(Post, [
      { id: ROOT, name: "root" },
      { id: CHILD, name: "child", parentId: ROOT },
      { id: GRANDCHILD, name: "grandchild", parentId: CHILD },
      { id: OTHER, name: "other", parentId: ROOT },
    ]),
  reads: (of) => nodeReads(of(Post)),
  other: (m) => m.update(Post, OTHER, { name: "changed" }),
  paths: () => ({
    ...adjacencyPaths(Post),
    "a new child": precise((m) => m.save(Post, { name: "leaf", parent: { id: CHILD } })),
    "relation set": coarseAlone((m) => m.createQueryBuilder().relation(Post, "parent").of(GRANDCHILD).set(OTHER)),
    "relation set to none": coarseAlone((m) => m.createQueryBuilder().relation(Post, "parent").of(CHILD).set(null)),
    "another parent by save": precise((m) => m.save(Post, { id: GRANDCHILD, parent: { id: OTHER } })),
    "removal of a subtree": coarse(async (m) => m.remove(await m.findOneByOrFail(Post, { id: CHILD }))),
  }),
};

/** All ways to keep a tree, each by all ways to write. */
export const TREES: readonly Shape[] = [
  tree(
    Branch,
    "a closure table",
    { grow: precise, rename: precise },
    {
      "rows of the closure table": precise(async (m) => {
        await m.query("DELETE FROM branch_closure WHERE id_descendant = 3");
        await m.query(
          "INSERT INTO branch_closure (id_ancestor, id_descendant) SELECT 4, id_descendant FROM branch_closure WHERE id_ancestor = 2",
        );
      }),
    },
  ),
  tree(
    Chapter,
    "a nested set",
    { grow: coarse, rename: precise },
    {
      "the numbers of a nested set": coarse((m) => m.query("UPDATE chapter SET nsleft = nsleft + 2 WHERE nsleft > 3")),
    },
  ),
  tree(
    Folder,
    "a materialized path",
    { grow: coarse, rename: coarse },
    {
      "the path of many": coarse((m) => m.query("UPDATE folder SET mpath = 'x' WHERE id > 1")),
    },
  ),
  POSTS,
];
