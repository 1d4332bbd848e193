import {
  And,
  Between,
  Equal,
  ILike,
  In,
  IsNull,
  LessThan,
  Like,
  MoreThan,
  MoreThanOrEqual,
  Not,
  Or,
  Raw,
  type EntityManager,
  type FindManyOptions,
  type Repository,
} from "typeorm";
import { typeormLine } from "./databases";
import { Author, Book, Note, Place, Topic } from "./entities/library";

/** Where a read finds its repositories: at the cache, or at TypeORM. */
export interface Doors {
  readonly repository: <Entity extends object>(target: new () => Entity) => Repository<Entity>;
  readonly manager: EntityManager;
}

/** Reads by name; each gives the same whenever it is made on the same rows. */
export type LibraryReads = Record<string, (doors: Doors) => Promise<unknown>>;

const byId = { order: { id: "ASC" } } as const;
const byTopic = { order: { id: "ASC", topics: { code: "ASC" } } } as const;
const byAuthorsBook = { order: { id: "ASC", author: { books: { id: "ASC" } } } } as const;

const BOOK_OPTIONS: Record<string, FindManyOptions<Book>> = {
  everything: {},
  "a range": { where: { size: { pages: MoreThan(15) } } },
  "two ranges": { where: { size: { pages: And(MoreThanOrEqual(10), LessThan(30)) } } },
  between: { where: { size: { pages: Between(20, 30) } } },
  "a key and more": { where: { shelf: 1, title: Like("B%") } },
  "one of several": { where: { title: In(["Anchors", "Dunes"]) } },
  "several ids and more": { where: { id: In([1, 2, 3]), shelf: Not(2) } },
  or: { where: [{ shelf: 1 }, { title: Equal("Dunes") }] },
  "or of an operator": { where: { shelf: Or(Equal(1), MoreThan(5)) } },
  null: { where: { authorId: IsNull() } },
  "not null": { where: { size: { weight: Not(IsNull()) } } },
  "no case": { where: { title: ILike("%a%") } },
  raw: { where: { size: { pages: Raw((column) => `${column} > :least`, { least: 15 }) } } },
  "by a relation's column": { where: { author: { name: "Ada" } } },
  "by a relation of a relation": { where: { author: { books: { title: "Battles" } } } },
  "by a many-to-many relation": { where: { topics: { code: "sea" } } },
  "some columns": { select: { id: true, title: true } },
  "columns of a relation": { select: { id: true, author: { name: true } }, relations: { author: true } },
  "many-to-one": { relations: { author: true } },
  "many-to-one of a shelf": { where: { shelf: 1 }, relations: { author: true } },
  "many-to-many": { relations: { topics: true }, ...byTopic },
  "one-to-many of many-to-one": { relations: { author: { books: true } }, ...byAuthorsBook },
  "relations by queries": { relations: { author: true, topics: true }, relationLoadStrategy: "query" },
  "a page": { skip: 1, take: 2 },
  "a page with relations": { relations: { topics: true }, skip: 1, take: 2, ...byTopic },
  "with deleted": { withDeleted: true },
  "relations with deleted": { withDeleted: true, relations: { author: { books: true } }, ...byAuthorsBook },
  "relation ids": { loadRelationIds: true },
  "some relation ids": { loadRelationIds: { relations: ["topics"], disableMixedMap: true } },
  "without eager relations": { loadEagerRelations: false, where: { title: "Anchors" } },
  "with a comment": { comment: "hello", where: { title: "Anchors" } },
};

/** Each of the options with `find`, and with one of the other methods in turn. */
function bookReads(): LibraryReads {
  const reads: LibraryReads = {};
  for (const [at, [name, options]] of Object.entries(BOOK_OPTIONS).entries()) {
    const { skip: _skip, take: _take, ...unpaged } = options;
    reads[`books, ${name}`] = ({ repository }) => repository(Book).find({ ...byId, ...options });
    const others: LibraryReads = {
      [`books and their number, ${name}`]: ({ repository }) => repository(Book).findAndCount({ ...byId, ...options }),
      [`the number of books, ${name}`]: ({ repository }) => repository(Book).count(unpaged),
      [`whether there are books, ${name}`]: ({ repository }) => repository(Book).exists(unpaged),
      [`the last book, ${name}`]: ({ repository }) =>
        repository(Book).findOne({ where: {}, ...unpaged, order: { ...unpaged.order, id: "DESC" } }),
    };
    const [title, read] = Object.entries(others)[at % 4]!;
    reads[title] = read;
  }
  return reads;
}

/** Methods that TypeORM 1 has no more. */
function olderReads(): LibraryReads {
  const books = ({ repository }: Doors) => repository(Book) as unknown as OlderRepository;
  return {
    "books of some ids, by findByIds": async (doors) =>
      (await books(doors).findByIds([3, 1])).sort((one, other) => one.id - other.id),
    "a book by findOneById": (doors) => books(doors).findOneById(2),
    "no book by findOneById": (doors) => books(doors).findOneById(99),
    "whether there is such a book, by exist": (doors) => books(doors).exist({ where: { title: "Dunes" } }),
  };
}

interface OlderRepository {
  findByIds(ids: number[]): Promise<Book[]>;
  findOneById(id: number): Promise<Book | null>;
  exist(options: FindManyOptions<Book>): Promise<boolean>;
}

/** Every kind of read that is no look at a key. */
export function libraryReads(): LibraryReads {
  return {
    ...bookReads(),
    ...(typeormLine === "0.3" ? olderReads() : {}),
    "the order of a relation": ({ repository }) =>
      repository(Book).find({ relations: { author: true }, order: { author: { name: "DESC" }, id: "ASC" } }),
    "authors with their books": ({ repository }) =>
      repository(Author).find({ relations: { books: { cover: true } }, order: { id: "ASC", books: { id: "ASC" } } }),
    "one author with books": ({ repository }) =>
      repository(Author).findOne({ where: { id: 1 }, relations: { books: true }, order: { books: { id: "ASC" } } }),
    "topics with books and authors": ({ repository }) =>
      repository(Topic).find({ relations: { books: { author: true } }, order: { code: "ASC", books: { id: "ASC" } } }),
    "a lazy relation": async ({ repository }) => (await repository(Author).findOneBy({ id: 1 }))?.edited,
    "a lazy relation, joined": async ({ repository }) => {
      const book = await repository(Book).findOne({ where: { id: 3 }, relations: { editor: true } });
      return [await book?.editor, book?.title];
    },
    "books of a shelf, by findAndCountBy": ({ repository }) => repository(Book).findAndCountBy({ title: "Anchors" }),
    "pages in all": ({ repository }) => repository(Book).sum("version"),
    "pages on average": ({ repository }) => repository(Book).average("version", { shelf: 1 }),
    "the least": ({ repository }) => repository(Book).minimum("shelf"),
    "the most": ({ repository }) => repository(Book).maximum("shelf", { authorId: 1 }),
    "no such book": ({ repository }) => repository(Book).findOne({ where: { title: "Nothing" } }),
    "no such book, failing": ({ repository }) =>
      repository(Book)
        .findOneOrFail({ where: { title: "Nothing" } })
        .catch((error: unknown) => String(error)),
    "notes and their number": ({ repository }) => repository(Note).findAndCount({ where: { about: 1 }, ...byId }),
    "places with parents": ({ repository }) => repository(Place).find({ relations: { parent: true }, ...byId }),
    ...builderReads(),
  };
}

function builderReads(): LibraryReads {
  const books = ({ manager }: Doors) => manager.createQueryBuilder(Book, "b").orderBy("b.id").cache(true);
  return {
    "builder, getMany": (doors) => books(doors).where("b.shelf > :shelf", { shelf: 1 }).getMany(),
    "builder, getOne": (doors) => books(doors).where("b.title = :title", { title: "Colours" }).getOne(),
    "builder, getOneOrFail": (doors) => books(doors).where({ title: "Dunes" }).getOneOrFail(),
    "builder, joins": (doors) =>
      books(doors)
        .leftJoinAndSelect("b.author", "a")
        .innerJoinAndSelect("b.topics", "t")
        .addOrderBy("t.code")
        .getMany(),
    "builder, a join of any table": (doors) =>
      books(doors).leftJoinAndMapMany("b.notes", Note, "n", "n.about = b.id").addOrderBy("n.id").getMany(),
    "builder, getManyAndCount": (doors) => books(doors).take(2).getManyAndCount(),
    "builder, a page of a join": (doors) => books(doors).leftJoinAndSelect("b.topics", "t").take(2).getMany(),
    "builder, getCount": (doors) => books(doors).where("b.shelf = 1").getCount(),
    "builder, getExists": (doors) => books(doors).where("b.shelf = 2").getExists(),
    "builder, getRawMany": (doors) =>
      books(doors)
        .select("b.shelf", "shelf")
        .addSelect("COUNT(*)", "n")
        .groupBy("b.shelf")
        .orderBy("b.shelf")
        .getRawMany(),
    "builder, getRawOne": (doors) => books(doors).select("MAX(b.id)", "most").orderBy().getRawOne(),
    "builder, getRawAndEntities": (doors) =>
      books(doors).leftJoin("b.author", "a").addSelect("a.name").getRawAndEntities(),
    "builder, a subquery": (doors) => {
      const query = books(doors);
      const latest = query.subQuery().select("MAX(n.about)").from(Note, "n").getQuery();
      return query.where(`b.id = ${latest}`).getMany();
    },
    "builder, exists": (doors) => {
      const query = books(doors);
      const noted = doors.manager.createQueryBuilder(Note, "n").select("1").where("n.about = b.id");
      return query.whereExists(noted).getMany();
    },
    "builder, from a subquery": ({ manager }) =>
      manager
        .createQueryBuilder()
        .select("s.shelf", "shelf")
        .from((query) => query.select("b.shelf", "shelf").from(Book, "b").where("b.id < 3"), "s")
        .orderBy("s.shelf")
        .cache(true)
        .getRawMany(),
    "builder, a common table expression": ({ manager }) =>
      manager
        .createQueryBuilder()
        .addCommonTableExpression(manager.createQueryBuilder(Book, "b").select("b.id", "id"), "c")
        .select("c.id", "id")
        .from("c", "c")
        .orderBy("c.id")
        .cache(true)
        .getRawMany(),
    "builder, relation ids": (doors) => books(doors).loadAllRelationIds().getMany(),
    "builder, distinct": (doors) => books(doors).select("b.shelf", "shelf").distinct().orderBy("b.shelf").getRawMany(),
  };
}
