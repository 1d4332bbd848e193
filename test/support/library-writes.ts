import type { DataSource } from "typeorm";
import { Author, Book, Cover, Note, Place, Topic } from "./entities/library";

/** Writes by name, of every table that a read may depend on; they are made one after the other. */
export const LIBRARY_WRITES: Record<string, (dataSource: DataSource) => Promise<unknown>> = {
  "a book gets another title": ({ manager }) => manager.save(Book, { id: 1, title: "Anvils" }),
  "a book moves to another shelf": ({ manager }) => manager.update(Book, 2, { shelf: 2 }),
  "a book gets pages": ({ manager }) => manager.increment(Book, { id: 3 }, "size.pages", 5),
  "a new book": ({ manager }) => manager.save(Book, { title: "Echoes", shelf: 1, authorId: 2 } as never),
  "a book gets another author": ({ manager }) => manager.save(Book, { id: 4, author: { id: 3 } } as never),
  "an author gets another name": ({ manager }) => manager.update(Author, { id: 1 }, { name: "Zoe" }),
  "an author is found by name and born again": ({ manager }) => manager.update(Author, { name: "Bob" }, { born: 1901 }),
  "a book loses a topic": ({ manager }) => manager.createQueryBuilder().relation(Book, "topics").of(2).remove("war"),
  "a book gets topics, saved": ({ manager }) =>
    manager.save(Book, { id: 4, topics: [{ code: "art" }, { code: "sea" }] } as never),
  "a topic gets a label": ({ manager }) => manager.update(Topic, "sea", { label: "water" }),
  "a book gets a cover": ({ manager }) => manager.save(Cover, { colour: "grey", book: { id: 2 } }),
  "a cover changes": ({ manager }) => manager.update(Cover, 1, { colour: "green" }),
  "a book is deleted softly": ({ manager }) => manager.softDelete(Book, 1),
  "a book is restored": ({ manager }) => manager.restore(Book, 1),
  "an editor changes": ({ manager }) => manager.createQueryBuilder().relation(Book, "editor").of(2).set(1),
  "a note": ({ manager }) => manager.save(Note, { about: 3, text: "new" }),
  "a note changes, by SQL": (dataSource) => dataSource.query("UPDATE note SET text = 'sql' WHERE id = 1"),
  "a place moves": async ({ manager }) => {
    const places = manager.getTreeRepository(Place);
    const shelf = await places.findOneByOrFail({ name: "shelf" });
    const garden = await places.findOneByOrFail({ name: "garden" });
    return places.save({ ...shelf, parent: garden });
  },
  "in a transaction": ({ manager }) =>
    manager.transaction(async (inner) => {
      await inner.save(Book, { id: 3, title: "Cities" });
      await inner.update(Author, 2, { born: 1910 });
    }),
  "rolled back": ({ manager }) =>
    manager
      .transaction(async (inner) => {
        await inner.save(Book, { id: 3, title: "Never" });
        throw new Error("no");
      })
      .catch(() => undefined),
  "an author goes, and his books with him": ({ manager }) => manager.delete(Author, 2),
  "all notes go": ({ manager }) => manager.clear(Note),
};
