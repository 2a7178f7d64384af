// Plays one address in a headless Chromium and prints what was seen as one line of JSON.
//
//     node watch.mjs WAY URL SECONDS [FOLDER]
//
// WAY is one of the ways of page.html. Screenshots go into FOLDER. `seen`: the looks taken four times a second once a
// picture is there; each has the mark of the picture, the delay in ms where a clock is drawn in it, and the time.

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
const FIRST_PICTURE_S = 30;

const server = createServer(async (request, response) => {
  const file = files[new URL(request.url, "http://here").pathname];
  if (!file) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "Content-Type": file[1] }).end(await readFile(join(here, file[0])));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
});
const result = { way, url, troubles: [], seen: [], startMs: null };
try {
  const page = await browser.newPage({ viewport: { width: 640, height: 360 } });
  page.on("pageerror", (error) => result.troubles.push(`page: ${error.message}`));
  const began = Date.now();
  const address = `http://127.0.0.1:${server.address().port}/?way=${way}&url=${encodeURIComponent(url)}`;
  await page.goto(address);
  await page.waitForFunction("video.readyState >= 2 && video.videoWidth > 0", null, { timeout: FIRST_PICTURE_S * 1000 });
  result.startMs = Date.now() - began;
  const until = Date.now() + seconds * 1000;
  let shots = 0;
  while (Date.now() < until) {
    result.seen.push(await page.evaluate("look()"));
    if (folder && (shots === 0 || (shots === 1 && Date.now() > until - 1000))) {
      await page.screenshot({ path: join(folder, `${way}-${shots}.png`) });
      shots += 1;
    }
    await page.waitForTimeout(250);
  }
  result.troubles.push(...await page.evaluate("troubles"));
} catch (error) {
  result.troubles.push(String(error.message ?? error));
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify(result));
