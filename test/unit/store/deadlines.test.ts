import { Deadlines } from "../../../src/store/redis/deadlines";

describe("deadlines under one timer", () => {
  let now = 0;
  let deadlines: Deadlines;
  let missed: string[];
  const set = (name: string, limit: number) => deadlines.set(limit, () => missed.push(name));
  const pass = (time: number) => {
    now += time;
    jest.advanceTimersByTime(time);
  };

  beforeEach(() => {
    jest.useFakeTimers();
    missed = [];
    deadlines = new Deadlines({ monotonic: () => now });
  });
  afterEach(() => void jest.useRealTimers());

  it("are missed in time, each once", () => {
    set("first", 50);
    pass(30);
    set("second", 50);
    pass(20);
    expect(missed).toEqual(["first"]);
    pass(29);
    expect(missed).toEqual(["first"]);
    pass(1);
    expect(missed).toEqual(["first", "second"]);
    pass(500);
    expect(missed).toHaveLength(2);
  });

  it("are not missed once they are met", () => {
    const met = set("met", 50);
    set("other", 50);
    deadlines.met(met);
    pass(50);
    expect(missed).toEqual(["other"]);
  });

  it("may be shorter than those before", () => {
    set("long", 1000);
    set("short", 50);
    pass(50);
    expect(missed).toEqual(["short"]);
    pass(950);
    expect(missed).toEqual(["short", "long"]);
  });

  it("may be set when one is missed", () => {
    deadlines.set(50, () => set("again", 50));
    pass(50);
    pass(50);
    expect(missed).toEqual(["again"]);
  });
});
