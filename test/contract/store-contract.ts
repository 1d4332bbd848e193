import { afterAll, afterEach, beforeAll, beforeEach, describe } from "@jest/globals";
import { describeChannel } from "./channel-cases";
import { describeClosed } from "./closed-cases";
import { describeFlights } from "./flight-cases";
import { describeLocks } from "./lock-cases";
import { describeLostData } from "./lost-data-cases";
import { describeReads } from "./read-cases";
import { LOCK_TTL, type StoreHarness, World } from "./world";
import { describeWriteThrough } from "./write-through-cases";

/** The suite that every store passes. */
export function describeStore(name: string, harness: StoreHarness): void {
  describe(`${name} keeps the contract of a store`, () => {
    const world = new World();

    beforeAll(() => harness.start?.());
    afterAll(() => harness.stop?.());
    beforeEach(async () => {
      world.setup = await harness.setUp({ lockTtl: LOCK_TTL, timeout: 5000 });
    });
    afterEach(() => world.setup.tearDown());

    describeReads(world);
    describeLocks(world);
    describeWriteThrough(world);
    describeChannel(world);
    describeFlights(world);
    describeClosed(world);
    if (harness.losesData) describeLostData(world);
  });
}
