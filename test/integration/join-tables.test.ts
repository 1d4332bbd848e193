import {
  Column,
  Entity,
  JoinTable,
  ManyToMany,
  PrimaryColumn,
  type DataSource,
  type EntityManager,
  type FindManyOptions,
} from "typeorm";
import { Cached, type CoherentCache } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";

@Entity()
@Cached()
class Label {
  @PrimaryColumn() id!: number;
  @Column() name!: string;
  @ManyToMany(() => Song, (song) => song.labels, { onDelete: "CASCADE" }) songs!: Song[];
}

@Entity()
@Cached()
class Song {
  @PrimaryColumn() id!: number;
  @Column() title!: string;
  @ManyToMany(() => Label, (label) => label.songs, { onDelete: "CASCADE" })
  @JoinTable({ name: "song_label", joinColumn: { name: "songId" }, inverseJoinColumn: { name: "labelId" } })
  labels!: Label[];
}

/** Both are written before: song 1 has labels 1 and 2, song 2 has label 2, song 3 has none. */
const songs = (manager: EntityManager) => manager.createQueryBuilder().relation(Song, "labels");
const quoted = (manager: EntityManager, sql: string) =>
  manager.query(sql.replace(/\w+Id|song_label/g, (name) => manager.connection.driver.escape(name)));

/** What writes, and the songs and labels whose reads must not be served any more; every other read must be. */
const WRITES: Record<string, readonly [(manager: EntityManager) => Promise<unknown>, number[], number[]]> = {
  "relation().add": [(m) => songs(m).of(2).add(1), [2], [1]],
  "relation().remove": [(m) => songs(m).of(1).remove(1), [1], [1]],
  "relation().addAndRemove": [(m) => songs(m).of(1).addAndRemove([3], [1]), [1], [1, 3]],
  "save of the owning side": [(m) => m.save(Song, { id: 3, labels: [{ id: 1 }] }), [3], [1]],
  "save of the other side": [(m) => m.save(Label, { id: 3, songs: [{ id: 3 }] }), [3], [3]],
  "save that takes away": [(m) => m.save(Song, { id: 2, labels: [] }), [2], [2]],
  "INSERT as SQL": [(m) => quoted(m, "INSERT INTO song_label (songId, labelId) VALUES (3, 1)"), [3], [1]],
  "DELETE of one as SQL": [(m) => quoted(m, "DELETE FROM song_label WHERE songId = 1 AND labelId = 1"), [1], [1]],
  "DELETE by one side as SQL": [(m) => quoted(m, "DELETE FROM song_label WHERE labelId = 1"), [1], [1]],
  "delete of a song, whose rows go with it": [(m) => m.delete(Song, { id: 2 }), [2], [2]],
  "delete of a label, whose rows go with it": [(m) => m.delete(Label, { id: 1 }), [1], [1]],
};

const STRATEGIES: Record<string, FindManyOptions<Song> & FindManyOptions<Label>> = {
  joined: {},
  "with queries of their own": { relationLoadStrategy: "query" },
};

describeEachDatabase("join tables", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  beforeEach(async () => {
    dataSource = await database.open([Label, Song]);
    cache = await attachMemory(dataSource);
    await dataSource.manager.save(
      Label,
      [1, 2, 3].map((id) => ({ id, name: `l${id}` })),
    );
    await dataSource.manager.save(Song, [
      { id: 1, title: "a", labels: [{ id: 1 }, { id: 2 }] },
      { id: 2, title: "b", labels: [{ id: 2 }] },
      { id: 3, title: "c", labels: [] },
    ]);
  });
  afterEach(async () => {
    await cache.close();
    await database.cleanup();
  });

  describe.each([
    ["by itself", (write: (manager: EntityManager) => Promise<unknown>) => write(dataSource.manager)],
    ["in a transaction", (write: (manager: EntityManager) => Promise<unknown>) => dataSource.transaction(write)],
  ])("are written %s", (_, run) => {
    it.each(
      Object.entries(WRITES).flatMap(([name, write]) =>
        Object.entries(STRATEGIES).map(([strategy, options]) => [name, strategy, write, options] as const),
      ),
    )("%s, read %s: nothing is stale, and what was left alone is served", async (name, strategy, write, options) => {
      const [change, ...changed] = write;
      const doors = [Song, Label].map((entity, at) => {
        const relations = at === 0 ? { labels: true } : { songs: true };
        const order =
          strategy === "joined" ? { order: at === 0 ? { labels: { id: "ASC" } } : { songs: { id: "ASC" } } } : {};
        const read = (id: number) => ({ ...options, ...order, where: { id }, relations }) as FindManyOptions<Song>;
        return { entity: entity as typeof Song, read, changed: changed[at]! };
      });
      const ids = [1, 2, 3];
      for (const { entity, read } of doors)
        for (const id of [...ids, ...ids]) await cache.repository(entity).find(read(id));
      await run(change);
      const { selects, reset } = countStatements(dataSource);
      for (const { entity, read, changed } of doors) {
        for (const id of ids) {
          reset();
          const found = await cache.repository(entity).find(read(id));
          const isServed = selects.length === 0;
          expect(found).toEqual(await dataSource.getRepository(entity).find(read(id)));
          // The statement for the relation alone reads its table without a key, and so depends on all of its rows.
          if (strategy !== "joined" && name.startsWith("delete of")) continue;
          expect([entity.name, id, isServed]).toEqual([entity.name, id, !changed.includes(id)]);
        }
      }
    });
  });
});
