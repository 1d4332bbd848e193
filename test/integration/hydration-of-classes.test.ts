import { EntitySchema, In, type DataSource, type Repository } from "typeorm";
import type { CoherentCache } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { Person, PersonSubscriber, Team } from "../support/entities/person";
import { expectSame } from "../support/same-as";

interface Plain {
  id: number;
  b: string | null;
  a: string | null;
}

/** Without a class: what comes back are plain objects, whose properties are in the order of the columns. */
const PlainSchema = new EntitySchema<Plain>({
  name: "Plain",
  columns: {
    b: { type: "varchar", nullable: true },
    id: { type: Number, primary: true, generated: true },
    a: { type: "varchar", nullable: true },
  },
});

// The half of hydration that is not about single values: embedded objects, listeners, lazy relations, constructors.
describeEachDatabase("hydration of classes", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let people: Repository<Person>;
  let plain: Repository<Person>;
  let statements: ReturnType<typeof countStatements>;
  beforeAll(async () => {
    dataSource = await database.open([Person, Team, PlainSchema], { subscribers: [PersonSubscriber] });
    cache = await attachMemory(dataSource, { entities: { Plain: {} } });
    people = cache.repository(Person);
    plain = dataSource.getRepository(Person);
    statements = countStatements(dataSource);
    await people.findOneBy({ id: 0 }); // Nothing is written through before the first read of a table.
  });

  async function hit<Result>(read: () => Promise<Result>): Promise<Result> {
    statements.reset();
    const result = await read();
    expect(statements.selects).toEqual([]);
    return result;
  }

  const full = (email: string): Promise<Person> =>
    people.save(
      people.create({
        email,
        name: { first: "Ada", last: "L" },
        address: { street: "1 Main St", geo: { lat: 1.5, lng: -0.25 } },
        secret: "hidden",
        tags: ["a"],
        age: 36,
      }),
    );
  const empty = (): Promise<Person> => people.save(people.create({ name: { first: "Nobody" } }));

  it.each(["full", "empty"])("a row (%s) as written through, as loaded and as filled", async (kind) => {
    const { id } = kind === "full" ? await full("ada@x") : await empty();
    expectSame(await hit(() => people.findOneBy({ id })), await plain.findOneBy({ id }));
    await cache.invalidate(Person);
    expectSame(await people.findOneBy({ id }), await plain.findOneBy({ id }));
    const again = await hit(() => people.findOneByOrFail({ id }));
    expectSame(again, await plain.findOneBy({ id }));
    expect(again).toBeInstanceOf(Person);
    expect(again.address.geo.constructor.name).toBe("Geo");
    expect(again.display).toBe(`${again.name.first} 1`);
    expect(again).not.toHaveProperty("secret", "hidden");
    expect(await plain.findOneBy({ id })).toEqual(again);
  });

  it("lists and multi-gets", async () => {
    const ids = [await full("list-1@x"), await full("list-2@x"), await empty()].map(({ id }) => id);
    for (const read of [
      (repository: Repository<Person>) => repository.find({ where: { age: 36 }, order: { id: "ASC" } }),
      (repository: Repository<Person>) => repository.findBy({ id: In(ids) }),
      (repository: Repository<Person>) =>
        repository.find({ where: { name: { first: "Nobody" } }, order: { id: "ASC" } }),
    ]) {
      expectSame(await read(people), await read(plain));
      expectSame(await hit(() => read(people)), await read(plain));
    }
  });

  it("runs load listeners and subscribers once per entity, for a hit as for a load, and not for exists and count", async () => {
    const { id } = await full("listeners@x");
    const calls = async (read: () => Promise<unknown>) => {
      const before = [Person.loads, Person.asyncLoads, PersonSubscriber.seen.length];
      await read();
      return [Person.loads, Person.asyncLoads, PersonSubscriber.seen.length].map((count, at) => count - before[at]!);
    };
    expect(await calls(() => plain.findOneBy({ id }))).toEqual([1, 1, 1]);
    expect(await calls(() => hit(() => people.findOneBy({ id })))).toEqual([1, 1, 1]);
    expect(PersonSubscriber.seen.at(-1)).toMatchObject({ entity: { id }, table: "person" });
    for (const state of ["written", "invalidated"]) {
      if (state === "invalidated") await cache.invalidate(Person);
      expect(await calls(() => people.exists({ where: { id } }))).toEqual([0, 0, 0]);
      expect(await calls(() => people.count({ where: { id } }))).toEqual([0, 0, 0]);
    }
    expect(await calls(() => people.findBy({ id: In([id, 0]) }))).toEqual([1, 1, 1]);
    const found = await people.findOneByOrFail({ id });
    expect(found).toMatchObject({ mood: "from the class, awaited", tags: ["a", "loaded"], seenBySubscriber: true });
    expect(found.address.label).toBe("1 Main St (1.5)");
  });

  it("a lazy relation of a cached entity loads as any other", async () => {
    const team = await dataSource.getRepository(Team).save({ title: "Engines" });
    const member = people.create({ name: { first: "Lazy" } });
    member.team = Promise.resolve(team);
    const { id } = await people.save(member);
    const found = await hit(() => people.findOneByOrFail({ id }));
    expect(await found.team).toEqual(team);
    const teams = cache.repository(Team);
    await teams.findOneBy({ id: team.id });
    const cachedTeam = await hit(() => teams.findOneByOrFail({ id: team.id }));
    expectSame(cachedTeam, await dataSource.getRepository(Team).findOneBy({ id: team.id }));
    expect((await cachedTeam.people).map((person) => person.id)).toEqual([id]);
  });

  it("plain objects, their properties in TypeORM's order, null where the row has NULL", async () => {
    const cached = cache.repository(PlainSchema);
    const { id } = await cached.save({ a: "x", b: null });
    await cached.findOneBy({ id });
    const found = await hit(() => cached.findOneByOrFail({ id }));
    expectSame(found, await dataSource.getRepository(PlainSchema).findOneBy({ id }));
    expect(Object.keys(found)).toEqual(["b", "id", "a"]);
    expect(found.b).toBeNull();
  });

  it("saving a cached entity unchanged writes nothing; changed, it writes what has changed", async () => {
    const { id } = await full("save@x");
    const unchanged = await hit(() => people.findOneByOrFail({ id }));
    statements.reset();
    await people.save(unchanged);
    expect(statements.writes).toEqual([]);

    const changed = await people.findOneByOrFail({ id });
    changed.age = 37;
    changed.address.geo.lat = 2;
    statements.reset();
    await people.save(changed);
    expect(statements.writes).toHaveLength(1);
    expect(columnsSet(statements.writes[0]!)).toEqual(["age", "homeGeoLat", "updatedAt", "version"]);
    expect(await people.findOneBy({ id })).toMatchObject({
      age: 37,
      doubleAge: 74,
      version: 2,
      address: { geo: { lat: 2 } },
    });
  });

  it("what a caller does to an entity reaches nobody else, whether loaded, waited for or served", async () => {
    const { id } = await full("shared@x");
    await cache.invalidate(Person);
    const original = await plain.findOneByOrFail({ id });
    const together = await Promise.all([1, 2, 3].map(() => people.findOneByOrFail({ id })));
    for (const found of [...together, await people.findOneByOrFail({ id })]) {
      expectSame(found, original);
      found.name.first = "spoilt";
      found.tags!.length = 0;
      found.createdAt.setFullYear(1980);
    }
    expectSame(await people.findOneByOrFail({ id }), original);
  });
});

/** The columns that an UPDATE sets. */
function columnsSet(sql: string): string[] {
  const [, list = ""] = /SET (.*) WHERE/.exec(sql) ?? [];
  return [...list.matchAll(/["`](\w+)["`] =/g)].map(([, name]) => name!).sort();
}
