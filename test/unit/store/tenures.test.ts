import { describe, expect, it } from "@jest/globals";
import { Tenures } from "../../../src/store/redis/tenures";

/** Arrives, does what has to be done, and leaves the note that is found next. */
const arrive = (tenures: Tenures, server: string, note: string | null | undefined) => {
  const arrival = tenures.arrival("part", server, note);
  tenures.served("part", server, arrival.note);
  return arrival;
};

describe("tenures", () => {
  it("have whoever is the first on a server remove what others left, and nobody after him", () => {
    const { remove, note } = arrive(new Tenures(), "one", null);
    expect(remove).toBe("what others left");
    expect(arrive(new Tenures(), "one", note)).toEqual({ remove: "nothing", note, last: "one" });
    expect(arrive(new Tenures(), "two", note).remove).toBe("what others left");
  });

  it("cost nothing where a connection was merely cut", () => {
    const tenures = new Tenures();
    const { note } = arrive(tenures, "one", null);
    expect(arrive(tenures, "one", note).remove).toBe("nothing");
  });

  it("do not believe a server that is back with the note of before, or with none", () => {
    for (const lost of [false, true]) {
      const tenures = new Tenures();
      const { note } = arrive(tenures, "one", null);
      arrive(tenures, "two", note);
      const back = arrive(tenures, "one", lost ? null : note);
      expect(back.remove).toBe("everything");
      expect(back.note).not.toBe(note);
      expect(arrive(tenures, "one", back.note).remove).toBe("nothing");
    }
  });

  it("believe one that somebody has cleaned since", () => {
    const [mine, theirs] = [new Tenures(), new Tenures()];
    const { note } = arrive(mine, "one", null);
    arrive(theirs, "one", note);
    const { note: away } = arrive(mine, "two", note);
    arrive(theirs, "two", away);
    const { note: cleaned } = arrive(theirs, "one", away);
    expect(arrive(mine, "one", cleaned).remove).toBe("nothing");
  });

  it("read the note of a version that wrote the server alone", () => {
    expect(arrive(new Tenures(), "one", "one").remove).toBe("nothing");
    expect(arrive(new Tenures(), "two", "one").remove).toBe("what others left");
  });
});
