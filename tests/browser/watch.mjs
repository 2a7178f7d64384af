// Plays one address in a headless Chromium and writes what is seen, one JSON object on each line.
//
//     node watch.mjs WAY URL SECONDS [FOLDER]
//
// WAY is one of the ways of page.html, or "readme" for the page that README.md shows. Once a picture is there, a line
// with `event: "look"` is written four times a second: the mark of the picture, the delay in ms where a clock is drawn
// in it, the player's time, pictures so far; `age` in ms counts from the first look.
// The last line has `event: "end"`: how long the first picture took, troubles, and stalls (a player that ran out of
// pictures for a moment, which says more about a busy machine than about what it was sent). SIGTERM ends it sooner.
// Two screenshots go into FOLDER. CHROMIUM in the environment names another program than /usr/bin/chromium.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [way, url, seconds, folder] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const files = {
  "/hls.js": ["node_modules/hls.js/dist/hls.min.js", "text/javascript"],
  "/mpegts.js": ["node_modules/mpegts.js/dist/mpegts.js", "text/javascript"],
  "/": ["page.html", "text/html"],
};
const FIRST_PICTURE_MS = 30_000;
const LOOK_EVERY_MS = 250;

let isAskedToEnd = false;
process.on("SIGTERM", () => { isAskedToEnd = true; });

const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// The script of the README's page as one more way, with the address that is asked for in place of its own.
async function readmeScript() {
  const readme = await readFile(join(here, "../../README.md"), "utf8");
  const [, page] = readme.match(/```html\n(.*?)```/s);
  const [, script] = page.match(/<script>(.*)<\/script>/s);
  return `ways.readme = (url) => {${script.replace(/"ws:[^"]*"/, "url")}};`;
}

async function serveThePage() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://here");
    const file = files[pathname];
    if (pathname === "/readme.js") {
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(await readmeScript());
    } else if (file) {
      response.writeHead(200, { "Content-Type": file[1] }).end(await readFile(join(here, file[0])));
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return server;
}

async function watch(page, shoot) {
  const began = Date.now();
  const until = began + seconds * 1000;
  let looks = 0;
  while (Date.now() < until && !isAskedToEnd) {
    write({ event: "look", age: Date.now() - began, ...await page.evaluate("look()") });
    if (looks === 0) await shoot(0);
    looks += 1;
    await page.waitForTimeout(LOOK_EVERY_MS);
  }
  await shoot(1);
}

const server = await serveThePage();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  handleSIGTERM: false,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
});
const result = { event: "end", way, url, startMs: null, troubles: [], stalls: [] };
try {
  const page = await browser.newPage({ viewport: { width: 640, height: 360 } });
  page.on("pageerror", (error) => result.troubles.push(`page: ${error.message}`));
  const shoot = async (number) => {
    if (folder) await page.screenshot({ path: join(folder, `${way}-${number}.png`) });
  };
  await page.goto(`http://127.0.0.1:${server.address().port}/?way=${way}&url=${encodeURIComponent(url)}`);
  try {
    await page.waitForFunction("firstPictureMs !== null", null, { timeout: FIRST_PICTURE_MS });
    await watch(page, shoot);
  } finally {
    const { troubles, stalls, startMs } = await page.evaluate("({ troubles, stalls, startMs: firstPictureMs })");
    result.troubles.push(...troubles);
    Object.assign(result, { stalls, startMs });
  }
} catch (error) {
  result.troubles.push(String(error.message ?? error));
} finally {
  await browser.close();
  server.close();
}
write(result);
