import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { openShop, type OpenShop } from "../../example-app/open-shop";
import { until } from "../support/redis-server";

jest.setTimeout(90_000);

/** What the setup has found; it has said so if there is none, and under CI=true the run would not have begun. */
const binary = process.env["CHROMIUM_BIN"];

/** A folder, if pictures of the page are to be kept. */
const pictures = process.env["SCREENSHOTS"];

const described = binary === undefined ? describe.skip : describe;

described("the page to watch the cache", () => {
  let browser: Browser;
  let open: OpenShop;
  let address: string;
  const closing: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    // That Redis is away is said, and is what is wanted here.
    jest.spyOn(console, "warn").mockImplementation(() => undefined);
    browser = await chromium.launch({ executablePath: binary!, args: ["--no-sandbox", "--disable-lcd-text"] });
    open = await openShop({ redis: "own", database: undefined });
    address = await open.api.listen({ port: 0, host: "127.0.0.1" });
  });
  afterAll(async () => {
    await browser?.close();
    await open?.close();
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** The page in a browser of its own; `problems` are what the browser complains of. */
  async function visit(options: BrowserContextOptions = {}): Promise<{ page: Page; problems: string[] }> {
    const context = await browser.newContext({ viewport: { width: 1080, height: 900 }, ...options });
    closing.push(() => context.close());
    const page = await context.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    await page.goto(address);
    await page.getByText("Live", { exact: true }).waitFor();
    return { page, problems };
  }

  const press = (page: Page, name: string) => page.getByRole("button", { name }).click();
  const said = (page: Page, text: string | RegExp) => page.locator("#done", { hasText: text }).waitFor();
  const numberIn = async (page: Page, row: string, column: number) => {
    const cell = page.getByRole("row", { name: row }).getByRole("cell").nth(column);
    return Number((await cell.textContent())?.replace(/,/g, ""));
  };
  const probe = async (page: Page, name: "nameless" | "poorContrasts") => {
    await page.evaluate(readFileSync(join(__dirname, "probes.js"), "utf8"));
    return page.evaluate<string[]>(`probes.${name}()`);
  };
  const picture = async (page: Page, name: string) => {
    if (pictures === undefined) return;
    // So that there is something on the charts, and nothing under the mouse.
    await until(
      () =>
        page.evaluate<boolean>("document.querySelector('#ratio-chart path').getAttribute('d').split('L').length > 25"),
      60_000,
    );
    await page.mouse.move(0, 0);
    await page.evaluate("scrollTo(0, 0)");
    await page.screenshot({ path: join(pictures, name), animations: "disabled" });
  };

  it("shows reads as they come, what is written and why, and what a read would do", async () => {
    const { page, problems } = await visit();
    await until(async () => (await numberIn(page, "Product", 3)) > 50, 20_000);
    await until(async () => (await page.locator("#tile-ratio").textContent())!.endsWith("%"));
    expect(await page.locator("#ratio-text").textContent()).toMatch(/^Now [\d.]+ %, between/);
    expect(await page.getByRole("row", { name: "Product" }).textContent()).toMatch(/Productwrite-through10 min/);
    expect(await numberIn(page, "Product", 2)).toBeGreaterThan(0);
    expect(await page.locator("#ratio-chart path.ratio").getAttribute("d")).toMatch(/^M/);

    await press(page, "Save a product");
    await said(page, /Product 17 now costs [\d.]+\. It was written through/);
    const newest = page.locator("#invalidations li").first();
    await page.locator("#invalidations li", { hasText: "update product" }).first().waitFor();
    expect(await newest.textContent()).toMatch(/update product statement|update product transaction/);
    expect(await newest.locator("code").textContent()).toContain("product|id=17");

    const before = await page.locator("#invalidations li").count();
    await press(page, "Write and roll back");
    await said(page, "rolled back, and nothing was invalidated");
    expect(await page.locator("#invalidations li").count()).toBe(before);
    await press(page, "Place an order");
    await said(page, /Order \d+ was committed/);
    await press(page, "Write with raw SQL");
    await said(page, "Category 3 was restocked");
    await until(async () => (await page.locator("#invalidations li").count()) >= before + 2);

    await page.getByLabel("equals").fill("17");
    await press(page, "Read");
    await page.locator("#read-explanation", { hasText: "findOne" }).waitFor();
    expect(await page.locator("#read-result").textContent()).toContain('"sku": "KIT-017"');
    expect(await page.locator("#read-outcome").textContent()).toMatch(/^(hit|miss)/);
    await page.getByLabel("equals").fill("0");
    await press(page, "Read");
    await page.locator("#read-outcome", { hasText: "It did not work" }).waitFor();
    expect(await page.locator("#read-report").isHidden()).toBe(true);
    await page.getByLabel("equals").fill("17");
    await press(page, "Read");
    await page.locator("#read-report").waitFor();
    await picture(page, "page-light.png");
    if (pictures !== undefined) {
      await page
        .locator("section", { hasText: "What came back" })
        .screenshot({ path: join(pictures, "page-read.png") });
    }
    expect(problems.filter((problem) => !problem.includes("400"))).toEqual([]);
  });

  it("shows Redis being stopped, reads going to the database, and its coming back", async () => {
    const { page, problems } = await visit({ colorScheme: "dark" });
    await until(async () => (await numberIn(page, "Product", 3)) > 0, 20_000);
    await press(page, "Stop Redis");
    await said(page, "Redis is stopped");
    await page.getByText("Store is away: reads go to the database").waitFor();
    const past = await numberIn(page, "Product", 5);
    await press(page, "Save a product");
    await said(page, "Product 17 now costs");
    await until(async () => (await numberIn(page, "Product", 5)) > past + 20, 20_000);
    await until(async () => Number(await page.locator("#tile-pending").textContent()) > 0);
    await until(async () => (await page.locator("#ratio-chart rect.away").count()) >= 2);
    expect(await page.locator("#tile-ratio").textContent()).toBe("0 %");
    await picture(page, "page-dark.png");
    await press(page, "Start Redis");
    await said(page, "Redis runs again");
    await page.getByText("Store answers").waitFor();
    await page.locator("#invalidations li", { hasText: "made-up-for" }).first().waitFor();
    const hits = await numberIn(page, "Product", 3);
    await until(async () => (await numberIn(page, "Product", 3)) > hits + 20, 20_000);
    expect(await page.locator("#tile-pending").textContent()).toBe("0");
    expect(problems).toEqual([]);
  });

  it("can be used with the keyboard, has names for everything, and shows text as text", async () => {
    const { page } = await visit({ reducedMotion: "reduce", viewport: { width: 360, height: 700 } });
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").textContent()).toBe("Skip to the figures");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").textContent()).toBe("Save a product");
    await page.keyboard.press("Enter");
    await said(page, "Product 17 now costs");
    expect(await probe(page, "nameless")).toEqual([]);
    // Nothing is wider than a small telephone, but for what scrolls by itself.
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    const evil = "<img src=x onerror=alert(1)>";
    await open.shop.changeProduct(17, { name: evil });
    await press(page, "Read");
    await page.locator("#read-result", { hasText: evil }).waitFor();
    expect(await page.locator("img").count()).toBe(0);
  });

  it.each(["light", "dark"] as const)("has enough contrast in %s", async (colorScheme) => {
    const { page } = await visit({ colorScheme, reducedMotion: "reduce" });
    await press(page, "Read");
    await page.locator("#read-report").waitFor();
    expect(await probe(page, "poorContrasts")).toEqual([]);
  });

  it("is for pages of this server only", async () => {
    const send = (headers: Record<string, string>) =>
      fetch(`${address}/page/actions/stop-redis`, { method: "POST", headers });
    expect((await send({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" })).status).toBe(403);
    const page = await fetch(address);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(open.cache.stats().storeState).toBe("up");
  });
});
