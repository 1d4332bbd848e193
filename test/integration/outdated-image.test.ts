import { Column, DeleteDateColumn, Entity, PrimaryColumn, type DataSource, type Repository } from "typeorm";
import { CacheKey, Cached, type CoherentCache, type Strategy } from "typeorm-coherent";
import { statementBarriers } from "../support/barriers";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";

@Entity()
@Cached()
@CacheKey(["rack", "place"])
class Box {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column({ length: 10, unique: true }) code!: string;
  @CacheKey() @Column() shelf!: number;
  @Column() rack!: number;
  @Column() place!: number;
  @Column({ default: 0 }) weight!: number;
  @DeleteDateColumn() deletedAt!: Date | null;
}

const BEFORE = { id: 1, code: "A", shelf: 1, rack: 1, place: 1 };

/** What a second transaction does between TypeORM's read of the row, which takes no lock, and our write. */
const MEANWHILE: Record<string, Partial<Box>> = {
  "a single key": { shelf: 2 },
  "a unique key": { code: "B" },
  "a part of a composite key": { place: 2 },
  "all of a composite key": { rack: 2, place: 2 },
  "all of them": { code: "B", shelf: 2, rack: 2, place: 2 },
};

const OURS: Record<string, (boxes: Repository<Box>, loaded: Box) => Promise<unknown>> = {
  "no key": (boxes) => boxes.save({ id: 1, weight: 9 }),
  "the single key": (boxes) => boxes.save({ id: 1, shelf: 3 }),
  "the unique key": (boxes) => boxes.save({ id: 1, code: "C" }),
  "the other part of the composite key": (boxes) => boxes.save({ id: 1, rack: 3 }),
  "the composite key": (boxes) => boxes.save({ id: 1, rack: 3, place: 3 }),
  "the row, by remove": (boxes, loaded) => boxes.remove(loaded),
  "the row, by softRemove": (boxes, loaded) => boxes.softRemove(loaded),
};

describeEachDatabase("a row that has changed since TypeORM read it", (database) => {
  describe.each(["invalidate", "write-through"] satisfies Strategy[])("%s", (strategy) => {
    let dataSource: DataSource;
    let cache: CoherentCache;
    let boxes: Repository<Box>;
    let hold: ReturnType<typeof statementBarriers>;
    beforeAll(async () => {
      dataSource = await database.open([Box]);
      cache = await attachMemory(dataSource, { lockTtl: 60_000, entities: { Box: { strategy } } });
      boxes = dataSource.getRepository(Box);
      hold = statementBarriers(dataSource);
    });

    function everything(of: Pick<Repository<Box>, "findOneBy" | "findBy" | "countBy">): Promise<unknown[]> {
      const places = [1, 2, 3].flatMap((rack) => [1, 2, 3].map((place) => ({ rack, place })));
      const lists = [...[1, 2, 3].map((shelf) => ({ shelf })), ...places];
      return Promise.all([
        of.findOneBy({ id: 1 }),
        ...["A", "B", "C"].map((code) => of.findOneBy({ code })),
        ...lists.flatMap((where) => [of.findBy(where), of.countBy(where)]),
      ]);
    }

    describe.each(Object.entries(MEANWHILE))("another changed %s", (_, values) => {
      it.each(Object.entries(OURS))("and we change %s", async (_, write) => {
        await boxes.clear();
        await boxes.insert({ ...BEFORE });
        await boxes.insert({ ...BEFORE, id: 2, code: "Z" });
        const loaded = await boxes.findOneByOrFail({ id: 1 });
        await everything(cache.repository(Box));
        const barrier = hold(/^(BEGIN|START)/, "before");
        const writing = write(boxes, loaded);
        await barrier.reached;
        const sets = Object.entries(values).map(([name, value]) => `${name} = '${String(value)}'`);
        await dataSource.query(`UPDATE box SET ${sets.join(", ")} WHERE id = 1`);
        await everything(cache.repository(Box)); // So that what is now is cached as well.
        barrier.open();
        await writing;
        const now = await everything(boxes);
        const { hits } = cache.stats();
        for (let round = 0; round < 2; round += 1) expect(await everything(cache.repository(Box))).toEqual(now);
        expect(cache.stats().hits - hits).toBeGreaterThan(20);
      });
    });
  });
});
