import { Equal, In, type FindManyOptions, type FindOptionsWhere, type Repository } from "typeorm";
import type { Item } from "./entities/item";

/** A read whose result can be compared with what the database says. */
export interface ItemRead {
  readonly title: string;
  readonly read: (items: Repository<Item>) => Promise<unknown>;
}

type Where = FindOptionsWhere<Item>;

/** Every kind of read that the cache serves, over small ranges of values, so that writes hit them again and again. */
export function itemReads(): ItemRead[] {
  const reads: ItemRead[] = [];
  const add = (title: string, read: ItemRead["read"]) => reads.push({ title, read });
  const list = (title: string, options: FindManyOptions<Item>) =>
    add(`list ${title}`, async (items) => {
      const found = await items.find(options);
      // Without an order any order is right.
      return options.order === undefined ? found.sort((left, right) => left.id - right.id) : found;
    });
  const wheres: [string, Where][] = [
    ...[1, 2, 3].map((shelf): [string, Where] => [`shelf ${shelf}`, { shelf }]),
    ["shelf 1, slot a", { shelf: 1, slot: "a" }],
    ["slot b, shelf 2", { slot: "b", shelf: 2 }],
    ["active", { active: true }],
    ["not active", { active: false }],
    ["owner 1", { owner: { id: 1 } }],
    ["owner Equal(2)", { owner: Equal(2) }],
    ["ownerId 1", { ownerId: 1 }],
  ];
  for (const id of [1, 2, 3, 4, 5, 6]) add(`id ${id}`, (items) => items.findOneBy({ id }));
  add("id 2 with deleted", (items) => items.findOne({ where: { id: 2 }, withDeleted: true }));
  add("exists id 3", (items) => items.existsBy({ id: 3 }));
  add("count id 3", (items) => items.countBy({ id: 3 }));
  add("ids", async (items) => (await items.findBy({ id: In([5, 1, 2, 4]) })).sort((left, right) => left.id - right.id));
  for (const code of ["A", "B", "C", "D"]) add(`code ${code}`, (items) => items.findOneBy({ code }));
  add("code A listed", (items) => items.find({ where: { code: "A" }, withDeleted: true }));
  add("exists code B", (items) => items.existsBy({ code: "B" }));
  add("count code B", (items) => items.countBy({ code: "B" }));
  for (const [title, where] of wheres) {
    list(title, { where });
    list(`${title} with deleted`, { where, withDeleted: true });
    list(`${title} in order`, { where, order: { rank: "DESC", id: "ASC" } });
    list(`${title} first page`, { where, order: { rank: "ASC", id: "ASC" }, take: 2 });
    list(`${title} second page`, { where, order: { rank: "ASC", id: "ASC" }, skip: 1, take: 1 });
    add(`first ${title}`, (items) => items.findOne({ where, order: { rank: "DESC", id: "ASC" } }));
    add(`count ${title}`, (items) => items.count({ where }));
    add(`exists ${title}`, (items) => items.exists({ where }));
    // Which rows it takes is the database's choice, but there are as many as there can be, and each is as it is now.
    add(`any ${title}`, async (items) => {
      const [all, some, one] = [
        await items.findBy(where),
        await items.find({ where, take: 2 }),
        await items.findOneBy(where),
      ];
      return [...some, ...(one === null ? [] : [one])].every((item) => all.some((other) => isSame(item, other)))
        ? [Math.min(some.length, 2), one === null, all.length]
        : { none: some, of: all };
    });
  }
  return reads;
}

function isSame(left: Item, right: Item): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
