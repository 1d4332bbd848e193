import { Column, type DataSource, Entity, PrimaryGeneratedColumn } from "typeorm";
import { describeEachDatabase } from "../support/databases";

@Entity()
class Note {
  @PrimaryGeneratedColumn() id!: number;
  @Column() text!: string;
}

// What every other test of this folder builds on.
describeEachDatabase("a test database", (database) => {
  let dataSource: DataSource;
  beforeAll(async () => {
    dataSource = await database.open([Note]);
    await dataSource.getRepository(Note).save({ text: "first" });
  });

  it("answers to TypeORM and to raw SQL alike", async () => {
    expect(await dataSource.getRepository(Note).findOneBy({ id: 1 })).toEqual(
      Object.assign(new Note(), { id: 1, text: "first" }),
    );
    expect(await dataSource.query("SELECT text FROM note")).toHaveLength(1);
  });

  it("shares nothing with another one", async () => {
    const other = await database.open([Note], { file: true });
    expect(await other.getRepository(Note).count()).toBe(0);
  });
});
