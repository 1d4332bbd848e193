// jest globalTeardown: the usual end of what setup-databases.mjs began. Every other end is the keeper's job.
export default async function teardown() {
  await globalThis.stopTestDatabases?.();
}
