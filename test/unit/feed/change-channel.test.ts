import { describe, expect, it } from "@jest/globals";
import { ChangeChannel } from "../../../src/feed/change-channel";

function channel(origin: string, secret?: string) {
  const heard: string[] = [];
  const made = new ChangeChannel(origin, secret, {
    told: ({ table }, by, sequence) => void heard.push(`${by} ${sequence} ${table}`),
    locked: (tags, by) => void heard.push(`${by} locks ${tags.join()}`),
    asked: ({ table, rows }) => void heard.push(`asked ${table} ${JSON.stringify(rows)}`),
    rejected: (why) => void heard.push(why),
    gap: (reason, by) => void heard.push(`gap ${reason} ${by ?? "anybody"}`),
    lost: () => void heard.push("lost"),
    confirmed: () => undefined,
  });
  return { channel: made, heard };
}

const messages = (from: ChangeChannel, ...tables: string[]) =>
  tables.flatMap((table) => [
    ...from.encode([{ table, group: table, operation: "insert", rows: [], tags: [] }]).values(),
  ]);

describe("the numbers of an origin", () => {
  it("count from 1, over all tables", () => {
    const { channel: a } = channel("a");
    const { channel: b, heard } = channel("b");
    b.up();
    for (const text of messages(a, "x", "y", "x")) b.message(text);
    expect(heard).toEqual(["a 1 x", "a 2 y", "a 3 x"]);
  });

  it("show a gap, of others and of this process itself", () => {
    const { channel: a, heard } = channel("a");
    const { channel: b } = channel("b");
    a.up();
    const [one, two, three] = messages(b, "1", "2", "3");
    const [own, , lost] = messages(a, "1", "2", "3");
    for (const text of [one!, three!, own!, lost!, two!]) a.message(text);
    expect(heard).toEqual(["b 1 1", "gap sequence b", "b 3 3", "a 1 1", "gap sequence a", "a 3 3", "b 2 2"]);
  });

  it("begin anywhere for who has just come", () => {
    const { channel: a } = channel("a");
    const { channel: b, heard } = channel("b");
    const [, , three, four] = messages(a, "1", "2", "3", "4");
    b.up();
    b.message(three!);
    b.message(four!);
    expect(heard).toEqual(["a 3 3", "a 4 4"]);
  });

  it("begin anew after a connection was lost, which is a gap of its own", () => {
    const { channel: a } = channel("a");
    const { channel: b, heard } = channel("b");
    const [one, , three] = messages(a, "1", "2", "3");
    b.up();
    b.message(one!);
    b.down();
    b.up();
    b.message(three!);
    expect(heard).toEqual(["a 1 1", "lost", "gap connection anybody", "a 3 3"]);
  });

  it("are kept of 10,000 origins, those heard last", () => {
    const { channel: b, heard } = channel("b");
    b.up();
    const [first] = messages(channel("0").channel, "t");
    b.message(first!);
    for (let origin = 1; origin <= 10_001; origin += 1) b.message(messages(channel(String(origin)).channel, "t")[0]!);
    expect((b as unknown as { heard: Map<string, number> }).heard.size).toBe(10_000);
    expect((b as unknown as { heard: Map<string, number> }).heard.has("0")).toBe(false);
    expect(heard).toHaveLength(10_002);
  });
});

it("tells the same of its own messages as of others, also when they come back late", () => {
  const change = { table: "s.t", group: "s.t", operation: "update", rows: [{ id: 1 }], tags: ["s.t|id=1"] } as const;
  const told: unknown[][] = [];
  const listener = (name: string) =>
    new ChangeChannel(name, "secret", {
      told: (...args: unknown[]) => void told.push(args),
      gap: () => undefined,
    } as unknown as ConstructorParameters<typeof ChangeChannel>[2]);
  const [own, other] = [listener("own"), listener("other")];
  const [text] = own.encode([change]).values();
  own.message(text!);
  other.message(text!);
  own.message(text!); // Twice.
  for (let sent = 0; sent < 2000; sent += 1) own.encode([change]);
  expect((own as unknown as { sent: Map<string, unknown> }).sent.size).toBe(1000);
  const { group: _, ...expected } = change;
  expect(told).toEqual(Array.from({ length: 3 }, () => [expected, "own", 1]));
});

it("tells of locked tags, in the same sequence", () => {
  const { channel: a } = channel("a");
  const { channel: b, heard } = channel("b");
  b.up();
  const locks = [...a.encodeLock(["x|id=1", "x|*", "y|"]).values()];
  for (const text of [...locks, ...messages(a, "x")]) b.message(text);
  expect(heard).toEqual(["a locks x|id=1,x|*", "a locks y|", "a 3 x"]);
  const many = Array.from({ length: 9000 }, (_, id) => `x|id=${id}`);
  for (const text of a.encodeLock(many).values()) b.message(text);
  expect(heard.at(-1)).toBe("a locks x|");
});

it("hands on what others ask for, and counts what it does not understand", () => {
  const { channel: a, heard } = channel("a");
  a.message('{"table":"x","id":1}');
  a.message("x");
  expect(heard).toEqual(['asked x [{"":1}]', "malformed"]);
});
