import { EntitySchema } from "typeorm";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";

const LONGEST = { sqlite: 200, postgres: 63, mariadb: 64 };
const NAME = "a_table_with_a_name_of_many_words_".repeat(6);

describeEachDatabase("a table with a long name", (database) => {
  const longest = NAME.slice(0, LONGEST[database.name]);
  // Of a longer one PostgreSQL takes as much as it can.
  const declared = database.name === "postgres" ? NAME.slice(0, 70) : longest;

  it("is seen under whatever name it is written", async () => {
    const Long = new EntitySchema<{ id: number; n: number }>({
      name: "Long",
      tableName: declared,
      columns: { id: { type: "int", primary: true }, n: { type: "int" } },
    });
    const dataSource = await database.open([Long]);
    const cache = await attachMemory(dataSource, { entities: { Long: {} } });
    const rows = cache.repository(Long);
    await rows.insert({ id: 1, n: 0 });
    await rows.insert({ id: 2, n: 0 });
    const names = new Set([declared, longest, ...(database.name === "postgres" ? [`${longest}_and_more`] : [])]);
    let n = 0;
    for (const name of names) {
      for (const where of [" WHERE id = 1", ""]) {
        await rows.findOneBy({ id: 1 });
        n += 1;
        await dataSource.query(`UPDATE ${name} SET n = ${n}${where}`);
        expect({ name, where, row: await rows.findOneBy({ id: 1 }) }).toEqual({ name, where, row: { id: 1, n } });
      }
    }
  });
});
