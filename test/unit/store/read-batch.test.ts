import { ReadBatch } from "../../../src/store/redis/read-batch";
import type { ReadAnswer, ReadRequest } from "../../../src/store/store";

const request = (key: string): ReadRequest => ({ key, group: "g", query: key, tags: ["g|"] });
const hit = (payload: string): ReadAnswer => ({ outcome: "hit", payload, rowTags: [] });

describe("reads of one turn of the event loop", () => {
  const trips: string[][] = [];
  const batch = new ReadBatch<ReadRequest, ReadAnswer>(async (requests) => {
    trips.push(requests.map(({ key }) => key));
    if (requests.some(({ key }) => key === "broken")) throw new Error("no answer");
    return requests.map(({ key }) => hit(key));
  });
  beforeEach(async () => {
    await new Promise(setImmediate);
    trips.length = 0;
  });

  it("make one round trip, and each gets its own answers", async () => {
    const answers = await Promise.all([
      batch.read([request("a")]),
      batch.read([request("b"), request("c")]),
      // Asked for in a continuation of the same turn.
      Promise.resolve().then(() => batch.read([request("d")])),
    ]);
    expect(answers).toEqual([[hit("a")], [hit("b"), hit("c")], [hit("d")]]);
    // The first need not wait for the others, which need not wait for its answer.
    expect(trips).toEqual([["a"], ["b", "c", "d"]]);
  });

  it("do not wait for those of the next turn", async () => {
    const waiting = batch.read([request("a")]);
    await new Promise(setImmediate);
    await Promise.all([waiting, batch.read([request("b")])]);
    expect(trips).toEqual([["a"], ["b"]]);
  });

  it("go out as several commands if they are many", async () => {
    await Promise.all(Array.from({ length: 450 }, (_, index) => batch.read([request(String(index))])));
    expect(trips.map(({ length }) => length)).toEqual([1, 200, 200, 49]);
  });

  it("fail together, and the next ones do not", async () => {
    const reads = [request("a"), request("b"), request("broken")].map((one) => batch.read([one]));
    await expect(Promise.all(reads.map((read) => read.catch(String)))).resolves.toEqual([
      [hit("a")],
      "Error: no answer",
      "Error: no answer",
    ]);
    await expect(batch.read([request("b")])).resolves.toEqual([hit("b")]);
  });
});
