// Chromium, for the test of the example's page: only the binary is looked for.
import { findBinary } from "./server-process.mjs";
import { canUseApt, installWithApt, MissingService } from "./install.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/**
 * Finds a browser and sets CHROMIUM_BIN. Where everything must be tested (CI=true) it is installed if that can be done; elsewhere nobody gets
 * a browser unasked.
 *
 * @returns a line that says what is missing; undefined if nothing is
 * @throws MissingService under CI=true, if there is none
 */
export async function provideBrowser() {
  const mustBe = process.env.CI === "true";
  const look = () => process.env.CHROMIUM_BIN || findBinary(NAMES);
  let binary = look();
  if (binary === undefined && mustBe && canUseApt()) {
    await installWithApt("chromium");
    binary = look();
  }
  if (binary !== undefined) {
    process.env.CHROMIUM_BIN = binary;
    return undefined;
  }
  const missing = new MissingService("Chromium", { debian: "chromium", brew: "--cask chromium" }, "CHROMIUM_BIN");
  if (mustBe) throw missing;
  return missing.message;
}
