import * as fc from "fast-check";
import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type DataSource,
} from "typeorm";
import { CacheKey, Cached, type CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { databases } from "../support/databases";

@Entity()
class Club {
  @PrimaryColumn() id!: number;
  @Column() points!: number;
}

@Entity()
@Cached()
class Team {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column() town!: number;
  @Column() size!: number;
  @DeleteDateColumn() goneAt!: Date | null;
  @OneToMany(() => Player, (player) => player.team) players!: Player[];
}

@Entity()
@Cached()
@CacheKey(["teamId", "role"])
class Player {
  @PrimaryColumn() id!: number;
  @Column({ nullable: true }) @CacheKey() teamId!: number | null;
  @ManyToOne(() => Team, (team) => team.players) team!: Team | null;
  /** Not null, so that TypeORM 1 joins it from inside. */
  @Column() clubId!: number;
  @ManyToOne(() => Club, { nullable: false }) club!: Club;
  @CacheKey() @Column() role!: number;
  @Column() goals!: number;
  @ManyToMany(() => Club) @JoinTable() fans!: Club[];
}

/** How many statements: `STATEMENT_RUNS=2000 npx jest … --testPathPatterns statement-tags`. */
const RUNS = Number(process.env["STATEMENT_RUNS"] ?? 150);

const small = fc.integer({ min: 1, max: 3 });
const list = (values: readonly number[]) => values.join(", ");
const columns = (alias: string, ...names: string[]) =>
  names.map((name) => `"${alias}"."${name}" AS "${alias}_${name}"`).join(", ");

const predicate = (alias: string, names: readonly string[]) =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(fc.constantFrom(...names), small).map(([name, n]) => `"${alias}"."${name}" = ${n}`),
    },
    fc
      .tuple(fc.constantFrom(...names), fc.array(small, { minLength: 1, maxLength: 2 }))
      .map(([name, ns]) => `"${alias}"."${name}" IN (${list(ns)})`),
    fc.tuple(fc.constantFrom(...names), small).map(([name, n]) => `"${alias}"."${name}" > ${n}`),
    fc.constantFrom(...names).map((name) => `"${alias}"."${name}" IS NOT NULL`),
    fc.tuple(fc.constantFrom(...names), small).map(([name, n]) => `"${alias}"."${name}" BETWEEN 1 AND ${n}`),
    fc
      .tuple(fc.constantFrom(...names), fc.constantFrom(...names))
      .map(([name, other]) => `"${alias}"."${name}" BETWEEN 1 AND "${alias}"."${other}" = 1`),
    fc.tuple(fc.constantFrom(...names), small).map(([name, n]) => `NOT "${alias}"."${name}" = ${n}`),
    fc.tuple(fc.constantFrom(...names), small).map(([name, n]) => `"${name}" <> ${n}`),
  );

const join = fc.constantFrom("LEFT JOIN", "LEFT JOIN", "LEFT JOIN", "INNER JOIN", "JOIN");

/** A table that is joined to the players, and what may be asked of it. */
const teams = fc.record({
  names: fc.constant(["id", "town", "size"]),
  alias: fc.constant("t"),
  sql: fc
    .tuple(
      join,
      fc.constantFrom(
        "",
        ' AND ("t"."goneAt" IS NULL)',
        ' AND "t"."size" = 2',
        ' AND "t"."town" = 1',
        ' AND "t"."id" = "p"."role"',
      ),
    )
    .map(([word, more]) => `${word} "team" "t" ON "t"."id" = "p"."teamId"${more}`),
});
const clubs = fc.record({
  names: fc.constant(["id", "points"]),
  alias: fc.constant("c"),
  sql: fc
    .tuple(join, fc.constantFrom("clubId", "clubId", "role"), fc.constantFrom("", ' AND "c"."points" = "p"."goals"'))
    .map(([word, column, more]) => `${word} "club" "c" ON "c"."id" = "p"."${column}"${more}`),
});
const fans = fc.record({
  names: fc.constant(["id", "points"]),
  alias: fc.constant("f"),
  sql: fc
    .tuple(join, join)
    .map(
      ([one, two]) =>
        `${one} "player_fans_club" "j" ON "j"."playerId" = "p"."id" ${two} "club" "f" ON "f"."id" = "j"."clubId"`,
    ),
});
/** One that is joined to what is joined. */
const farther = fc.record({
  names: fc.constant(["id", "points"]),
  alias: fc.constant("k"),
  sql: fc
    .tuple(join, join, fc.constantFrom("size", "town"))
    .map(
      ([one, two, column]) =>
        `${one} "team" "g" ON "g"."id" = "p"."teamId" ${two} "club" "k" ON "k"."id" = "g"."${column}"`,
    ),
});
const mates = fc.record({
  names: fc.constant(["id", "goals"]),
  alias: fc.constant("m"),
  sql: join.map((word) => `${word} "player" "m" ON "m"."teamId" = "p"."teamId"`),
});

const fromPlayers = fc.tuple(
  fc.constant({
    from: '"player" "p"',
    alias: "p",
    keys: [["teamId"], ["role"], ["teamId", "role"]],
    names: ["id", "teamId", "clubId", "role", "goals"],
  }),
  fc
    .oneof(fc.constant([]), fc.subarray([0, 1, 2, 3, 4], { maxLength: 2 }))
    .chain((at) => fc.tuple(...at.map((one) => [teams, clubs, fans, mates, farther][one]!))),
);
const fromTeams = fc.tuple(
  fc.constant({ from: '"team" "t"', alias: "t", keys: [["town"]], names: ["id", "town", "size"] }),
  fc.array(
    fc.record({
      names: fc.constant(["id", "teamId", "clubId", "role", "goals"]),
      alias: fc.constant("p"),
      sql: fc
        .tuple(join, fc.constantFrom("", ' AND "p"."role" = 1', ' AND "p"."goals" = 2', ' AND "p"."role" = "t"."town"'))
        .map(([word, more]) => `${word} "player" "p" ON "p"."teamId" = "t"."id"${more}`),
    }),
    { maxLength: 1 },
  ),
);

const statement = fc.oneof({ weight: 3, arbitrary: fromPlayers }, fromTeams).chain(([main, joins]) => {
  const places = [main, ...joins];
  const anywhere = fc.constantFrom(main, ...places).chain(({ alias, names }) => predicate(alias, names));
  const several = fc
    .tuple(fc.array(anywhere, { maxLength: 3 }), fc.constantFrom(" AND ", " AND ", " OR "), fc.boolean())
    .map(([parts, word, brackets]) =>
      parts.length === 0 ? "" : ` WHERE ${brackets ? `(${parts.join(word)})` : parts.join(word)}`,
    );
  // What is followed most finely, with one more condition that may spoil it.
  const byKey = fc
    .tuple(
      fc
        .constantFrom(...main.keys)
        .chain((names) => fc.tuple(...names.map((name) => small.map((n) => `"${main.alias}"."${name}" = ${n}`)))),
      fc.option(anywhere),
    )
    .map(([equal, more]) => ` WHERE ${[...equal, ...(more === null ? [] : [more])].join(" AND ")}`);
  const where = fc.oneof({ weight: 2, arbitrary: byKey }, several);
  const order = fc
    .constantFrom(...places)
    .chain(({ alias, names }) =>
      fc.constantFrom("", ...names.flatMap((name) => [`"${alias}"."${name}" DESC, `, `"${alias}_${name}", `])),
    );
  const hidden = fc.oneof(
    { weight: 4, arbitrary: fc.constant<string[]>([]) },
    fc.subarray(places.map(({ alias }) => alias)),
  );
  return fc
    .record({
      select: fc.oneof(
        { weight: 9, arbitrary: fc.constant("plain") },
        fc.constantFrom("count", "distinct", "grouped", "page", "page"),
      ),
      hidden,
      where,
      order,
      limit: fc.oneof({ weight: 5, arbitrary: fc.constant("") }, fc.constantFrom(" LIMIT 2", " LIMIT 1 OFFSET 1")),
      group: fc.constantFrom(...main.names),
      outer: fc.oneof(
        { weight: 2, arbitrary: fc.constant({ alias: "", names: [] as string[] }) },
        fc
          .constantFrom(...places)
          .chain(({ alias, names }) => fc.constantFrom(...names).map((name) => ({ alias, names: [name] }))),
      ),
      // Conditions of the soft deletion, as TypeORM adds them.
      alive: fc.boolean(),
    })
    .map((one) => {
      const from = ` FROM ${[main.from, ...joins.map(({ sql }) => sql)].join(" ")}`;
      const alive = main.alias === "t" && one.alive;
      const filter = alive
        ? one.where === ""
          ? ' WHERE "t"."goneAt" IS NULL'
          : `${one.where.replace(" WHERE ", ' WHERE "t"."goneAt" IS NULL AND (')})`
        : one.where;
      if (one.select === "count") return `SELECT COUNT(*) AS "cnt"${from}${filter}`;
      if (one.select === "grouped")
        return `SELECT ${columns(main.alias, "id")}, COUNT(*) AS "cnt"${from}${filter} GROUP BY "${main.alias}"."${one.group}" ORDER BY 1`;
      const shown = places.map(({ alias, names }) =>
        columns(alias, ...(one.hidden.includes(alias) ? names.slice(1) : names)),
      );
      if (one.select === "page") {
        const { alias, names } = one.outer;
        const also = names.length === 0 ? "" : `"d"."${alias}_${names[0]}"`;
        return (
          `SELECT DISTINCT "d"."${main.alias}_id" AS "ids"${also === "" ? "" : `, ${also} AS "also"`} ` +
          `FROM (SELECT ${places.map((place) => columns(place.alias, ...place.names)).join(", ")}${from}${filter}) "d" ` +
          `ORDER BY ${also === "" ? "" : `${also} DESC, `}"${main.alias}_id" ASC LIMIT 2`
        );
      }
      const unique = places.map(({ alias }) => `"${alias}"."id"`).join(", ");
      const order = ` ORDER BY ${
        one.select === "distinct"
          ? list(
              shown
                .join(", ")
                .split(", ")
                .map((_, at) => at + 1),
            )
          : `${one.order}${unique}`
      }`;
      return `SELECT ${one.select === "distinct" ? "DISTINCT " : ""}${shown.join(", ")}${from}${filter}${order}${one.limit}`;
    });
});

type Write = (dataSource: DataSource) => Promise<unknown>;
const column = <Name extends string>(name: Name) => small.map((value) => ({ [name]: value }) as Record<Name, number>);

const step = (title: string, run: Write): readonly [string, Write] => [title, run];
const write = fc.oneof(
  fc
    .tuple(
      small,
      fc.oneof(column("teamId"), column("clubId"), column("role"), column("goals"), fc.constant({ teamId: null })),
    )
    .map(([id, set]) => step(`player ${id} ${JSON.stringify(set)}`, ({ manager }) => manager.update(Player, id, set))),
  fc
    .tuple(small, fc.oneof(column("town"), column("size")))
    .map(([id, set]) => step(`team ${id} ${JSON.stringify(set)}`, ({ manager }) => manager.update(Team, id, set))),
  fc
    .tuple(small, column("points"))
    .map(([id, set]) => step(`club ${id} ${JSON.stringify(set)}`, ({ manager }) => manager.update(Club, id, set))),
  small.map((id) => step(`player ${id} goes`, ({ manager }) => manager.delete(Player, id))),
  fc
    .record({ id: small, teamId: small, clubId: small, role: small, goals: small })
    .map((row) => step(`player ${JSON.stringify(row)}`, ({ manager }) => manager.save(Player, row))),
  small.map((id) => step(`team ${id} goes softly`, ({ manager }) => manager.softDelete(Team, id))),
  small.map((id) => step(`team ${id} is back`, ({ manager }) => manager.restore(Team, id))),
  fc.tuple(small, fc.subarray([1, 2, 3])).map(([id, clubsOf]) =>
    step(`player ${id} is a fan of ${list(clubsOf)}`, async ({ manager }) => {
      if (!(await manager.existsBy(Player, { id }))) return;
      await manager.save(Player, { id, fans: clubsOf.map((club) => ({ id: club })) });
    }),
  ),
  small.map((role) => step(`players of role ${role} go`, ({ manager }) => manager.delete(Player, { role }))),
);

// Whatever a statement joins and asks: an entry that survives a write holds what the database says after it.
describe("on what a statement depends", () => {
  const database = databases().find(({ name }) => name === "sqlite")!;
  let dataSource: DataSource;
  let cache: CoherentCache;
  beforeAll(async () => {
    dataSource = await database.open([Team, Player, Club]);
    cache = await attachMemory(dataSource);
  });
  afterAll(() => database.cleanup());

  async function refill(): Promise<void> {
    const { manager } = dataSource;
    for (const table of ["player_fans_club", "player", "team", "club"])
      await dataSource.query(`DELETE FROM "${table}"`);
    await manager.insert(
      Club,
      [1, 2, 3].map((id) => ({ id, points: id })),
    );
    await manager.insert(
      Team,
      [1, 2, 3].map((id) => ({ id, town: (id % 2) + 1, size: id })),
    );
    await manager.insert(Player, [
      { id: 1, teamId: 1, clubId: 1, role: 1, goals: 1 },
      { id: 2, teamId: 1, clubId: 2, role: 2, goals: 3 },
      { id: 3, teamId: 2, clubId: 1, role: 1, goals: 2 },
    ]);
    await dataSource.query('INSERT INTO "player_fans_club" ("playerId", "clubId") VALUES (1, 1), (1, 2), (3, 2)');
  }

  /** The statement as TypeORM would send it for a query builder. */
  function builderOf(sql: string) {
    const builder = dataSource.createQueryBuilder(Player, "p").cache(true);
    Object.assign(builder, { getQueryAndParameters: () => [sql, []] });
    return builder;
  }

  it("is never less than what changes its result", async () => {
    const count = { writes: 0, survived: 0, needless: 0 };
    await fc.assert(
      fc.asyncProperty(statement, fc.array(write, { minLength: 1, maxLength: 10 }), async (sql, writes) => {
        await refill();
        // A name that is not qualified may belong to two of the tables.
        const understood: unknown = await dataSource.query(sql).catch(() => undefined);
        fc.pre(understood !== undefined);
        for (const [title, run] of writes) {
          const before: unknown = await builderOf(sql).getRawMany();
          await run(dataSource);
          const expected: unknown = await dataSource.query(sql);
          const { hits } = cache.stats();
          const found: unknown = await builderOf(sql).getRawMany();
          expect({ sql, after: title, found }).toEqual({ sql, after: title, found: expected });
          count.writes += 1;
          if (cache.stats().hits > hits) count.survived += 1;
          else if (JSON.stringify(before) === JSON.stringify(expected)) count.needless += 1;
        }
      }),
      { numRuns: RUNS },
    );
    expect(count.survived / count.writes).toBeGreaterThan(0.2); // Else it says nothing.
  }, 300_000);
});
