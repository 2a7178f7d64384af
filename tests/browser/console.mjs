// Opens the console in a headless Chromium, uses it, and prints what was seen as one line of JSON.
//
//     node console.mjs URL [FOLDER] [--mock]
//
// URL is that of a server with `--test-stream`. Screenshots go into FOLDER. With --mock the API is played by this script,
// which has more streams to show (a hostile name among them) than a fresh server; pictures come from the server.

import { join } from "node:path";
import { chromium } from "playwright-core";

const args = process.argv.slice(2).filter((arg) => arg !== "--mock");
const isMock = process.argv.includes("--mock");
const [url, folder] = args;
const HOSTILE = 'live/<img src=x onerror="window.hacked=1">';
const result = { url, troubles: [], checks: {} };

// ---- The API, played

const began = Date.now();
const closed = new Set();
let isLocked = false;
let isEmpty = false;

const CLIENTS = [
  ["3-1", "rtmp", "192.0.2.7:51344", "publisher", "live/arena", 4_100_000, 0],
  ["17-3", "rtmp", "198.51.100.23:40112", "player", "live/arena", 0, 4_100_000],
  ["18-1", "mp4", "203.0.113.9:61022", "player", "live/arena", 0, 4_100_000],
  ["21-2", "hls", "203.0.113.77:50122", "player", "live/test", 0, 400_000],
  ["30-1", "http", "[2001:db8::5]:51000", "none", null, 900, 3000],
];

function clients() {
  const s = (Date.now() - began) / 1000;
  return CLIENTS.filter(([id]) => !closed.has(id)).map(([id, protocol, peer, role, stream, up, down], n) => ({ id, protocol, peer,
    role, stream, since_s: 271 + s * (1 + n % 2), bytes_in: Math.round(up * (s + 271) / 8), bytes_out: Math.round(down * (s + 200) / 8),
    queued_bytes: n === 1 ? 18_200 : 0, lag_ms: n === 1 ? 34 : 0, dropped_messages: n === 2 ? 12 : 0 }));
}

function streams() {
  const s = (Date.now() - began) / 1000;
  const wave = (speed, n) => Math.sin(s / speed + n);
  const one = (name, n, rate, more) => ({ name, app: name.split("/")[0], stream: name.split("/").slice(1).join("/"),
    is_published: true, publisher: { client_id: "3-1", peer: "192.0.2.7:51344", since_s: 271 + s },
    video: { codec: "H.264", width: 1920, height: 1080, frame_rate: 30, bitrate_bps: rate, gop_ms: 2000 },
    audio: { codec: "AAC", sample_rate: 48_000, channels: 2, bitrate_bps: 128_000 },
    players: { rtmp: 2, flv: 0, ts: 0, mp4: 1, hls: 14 }, bytes_in: Math.round(rate * (s + 0.6 * wave(3, n) + 0.1 * wave(0.7, n)) / 8) + 9e6,
    bytes_out: 0, messages_in: 0, dropped_messages: 0, anomalies: 0,
    delay_us: { p50: 180 + 40 * wave(4, n), p99: 700 + 220 * wave(2, n + 1) }, is_recording: false, warnings: [], ...more });
  return [
    one("live/arena", 1, 4_100_000, { is_recording: true, dropped_messages: 12 }),
    one("live/test", 2, 180_000, { publisher: null, video: { codec: "H.264", width: 640, height: 360, frame_rate: 30, gop_ms: 2000 },
      audio: { codec: "AAC", sample_rate: 48_000, channels: 1 } }),
    one(HOSTILE, 3, 900_000, { is_published: false, publisher: null, video: null, audio: null, delay_us: { p50: null, p99: null },
      warnings: [{ kind: "long-gop", text: "A key frame comes only every 8.3 s: set the encoder's key frame interval to 2 s." }] }),
  ];
}

async function answer(route) {
  const request = route.request();
  const path = new URL(request.url()).pathname.slice("/api/v1/".length);
  const send = (status, body) => route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
  if (isLocked && request.headers().authorization !== "Bearer sesame") return send(401, { error: "a token is wanted" });
  if (request.method() === "DELETE" && path.startsWith("clients/")) {
    closed.add(path.slice("clients/".length));
    return route.fulfill({ status: 204 });
  }
  const s = (Date.now() - began) / 1000;
  if (path === "server") {
    return send(200, { version: "0.1.0", uptime_s: 93_784 + s, connections: 18, streams: 3, players: 17, bytes_in: Math.round(6e5 * s),
      bytes_out: Math.round(8.9e6 * s), memory_bytes: 9_800_000, is_draining: false, rtmp_port: 1936 });
  }
  if (path === "streams") return send(200, isEmpty ? [] : streams());
  if (path === "clients") return send(200, isEmpty ? [] : clients());
  if (path === "sessions") {
    const reasons = ["closed by peer", "took nothing for 10000 ms", "silent, and replaced by a new publisher"];
    return send(200, isEmpty ? [] : reasons.map((reason, n) => ({ peer: `198.51.100.${20 + n}:4${n}210`, protocol: "rtmp",
      role: n === 2 ? "publisher" : "player", stream: n === 1 ? HOSTILE : "live/arena", began_unix_ms: began - 400_000 * (n + 1),
      duration_s: 221.4 * (n + 1), bytes_in: 3012, bytes_out: 48_000_000 / (n + 1), dropped_messages: n * 7, reason })));
  }
  return send(404, { error: "there is nothing here" });
}

// ---- Use

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
});

async function open(width, height, scheme) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, deviceScaleFactor: width < 500 ? 2 : 1 });
  const page = await context.newPage();
  page.on("pageerror", (error) => result.troubles.push(`page: ${error.message}`));
  page.on("console", (message) => {
    // A picture of a played stream that the server does not have, and the locked API, are meant.
    const isMeant = isMock && /WebSocket connection|status of 40[14]/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isMeant) result.troubles.push(`console: ${message.text()}`);
  });
  if (isMock) await page.route("**/api/v1/**", answer);
  await page.goto(url);
  return page;
}
const shot = (page, name, fullPage = false) => (folder ? page.screenshot({ path: join(folder, `${name}.png`), fullPage }) : null);
const check = (name, ok) => { result.checks[name] = Boolean(ok); };
const isWide = (page) => page.evaluate("document.documentElement.scrollWidth > innerWidth");

async function unlessItFails(name, action) {
  try {
    await action();
  } catch (error) {
    result.troubles.push(`${name}: ${String(error.message ?? error).split("\n")[0]}`);
  }
}

await unlessItFails("desktop", async () => {
  const page = await open(1360, 900, "light");
  const video = '[aria-label="Stream live/test"] video';
  await page.waitForFunction((of) => document.querySelector(of)?.readyState >= 3, video, { timeout: 20_000 });
  const frames = () => page.evaluate((of) => document.querySelector(of).getVideoPlaybackQuality().totalVideoFrames, video);
  const before = await frames();
  await page.waitForTimeout(isMock ? 25_000 : 8_000);
  result.frames = await frames() - before;
  check("pictures move", result.frames > 50);
  result.behindMs = await page.evaluate((of) => {
    const { buffered, currentTime } = document.querySelector(of);
    return Math.round((buffered.end(buffered.length - 1) - currentTime) * 1000);
  }, video);
  check("at the live edge", result.behindMs < 1500);
  const points = await page.evaluate(() => document.querySelector('[aria-label="Stream live/test"] .line').getAttribute("d").split("L").length);
  check("plots fill", points >= 4);
  check("names of streams are only text", !(await page.evaluate("window.hacked")));
  await shot(page, "desktop-light", true);

  // By keyboard alone: to the first button that closes a client, and yes.
  const rows = () => page.locator("#client-rows tr").count();
  const had = await rows();
  let steps = 0;
  const isThere = () => page.evaluate("document.activeElement.closest('#client-rows') !== null && document.activeElement.tagName === 'BUTTON'");
  while (steps < 80 && !(await isThere())) {
    await page.keyboard.press("Tab");
    steps += 1;
  }
  check("the keyboard reaches the close button", await isThere());
  const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
  check("focus is seen", outline === "solid");
  // The first is the publisher of nothing that would be missed where the API is played; else the last one listed.
  if (!isMock) await page.locator("#client-rows button").last().focus();
  await page.keyboard.press("Enter");
  check("it is asked before", await page.locator("#confirm").evaluate((dialog) => dialog.open));
  check("the careful answer has the focus", await page.evaluate("document.activeElement.id === 'confirm-no'"));
  await shot(page, "confirm");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForFunction((count) => document.querySelectorAll("#client-rows tr").length < count || !count, had, { timeout: 5000 })
    .then(() => check("a click closes a client", true), () => check("a click closes a client", !isMock));
  check("the focus is not lost", await page.evaluate("document.activeElement !== document.body"));
  await page.context().close();
});

await unlessItFails("dark", async () => {
  const page = await open(1360, 900, "dark");
  await page.waitForTimeout(isMock ? 12_000 : 5_000);
  await shot(page, "desktop-dark", true);
  await page.context().close();
});

await unlessItFails("phone", async () => {
  const page = await open(360, 740, "light");
  await page.waitForTimeout(6_000);
  check("no sideways scroll at 360 px", !(await isWide(page)));
  await shot(page, "phone", true);
  await page.context().close();
});

if (isMock) {
  await unlessItFails("empty and locked", async () => {
    isEmpty = true;
    let page = await open(1100, 800, "light");
    await page.waitForSelector("#empty:not([hidden])");
    await shot(page, "empty");
    await page.context().close();
    isEmpty = false;
    isLocked = true;
    page = await open(360, 740, "dark");
    await page.waitForSelector("#gate:not([hidden])");
    await shot(page, "locked");
    await page.keyboard.type("sesame");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#stream-list article");
    check("the token opens it", true);
    check("no sideways scroll at 360 px, dark", !(await isWide(page)));
    await page.context().close();
  });
}

await browser.close();
console.log(JSON.stringify(result));
