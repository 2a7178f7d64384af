// Opens the console in a headless Chromium, uses it, and prints what was seen as one line of JSON.
//
//     node console.mjs URL [FOLDER] [--mock | --token TOKEN]
//
// URL is that of a server with `--test-stream` to which somebody publishes; that one is closed. Screenshots go into
// FOLDER. With --mock the API is played by this script, which has more streams to show (a hostile name among them) than a
// fresh server; pictures come from the server. With --token the server wants one, and only that is looked at.

import { join } from "node:path";
import { chromium } from "playwright-core";

const args = process.argv.slice(2);
const isMock = args.includes("--mock");
const token = args.includes("--token") ? args[args.indexOf("--token") + 1] : null;
const [url, folder] = args.filter((arg, at) => !arg.startsWith("--") && args[at - 1] !== "--token");
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
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
});

async function open(width, height, scheme) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, deviceScaleFactor: width < 500 ? 2 : 1 });
  const page = await context.newPage();
  page.on("pageerror", (error) => result.troubles.push(`page: ${error.message}`));
  page.on("console", (message) => {
    // A picture of a played stream that the server does not have, and the locked API, are meant.
    const isMeant = (isMock && /WebSocket connection|status of 404/.test(message.text())) || /status of 401/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isMeant) result.troubles.push(`console: ${message.text()}`);
  });
  if (isMock) await page.route("**/api/v1/**", answer);
  await page.goto(url);
  return page;
}
const shot = (page, name, fullPage = false) => (folder ? page.screenshot({ path: join(folder, `${name}.png`), fullPage }) : null);
const check = (name, ok) => { result.checks[name] = Boolean(ok); };
const isWide = (page) => page.evaluate("document.documentElement.scrollWidth > innerWidth");

// Texts that stand out too little from what is behind them (WCAG 2.2, 1.4.3), pictures and what cannot be used aside.
const faint = (page) => page.evaluate(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const light = (rgb) => rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const over = (top, below) => top.rgb.map((part, at) => part * top.a + below[at] * (1 - top.a));
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own.a === 1 ? own.rgb : over(own, ground(element.parentElement));
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!hasText || element.closest(".picture, .hidden-text, .skip, noscript, :disabled") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const [one, two] = [light(over(parse(style.color), below)), light(below)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (!(ratio >= least)) found.push(`${element.className || element.tagName} ${element.textContent.trim().slice(0, 20)}: ${ratio.toFixed(2)}`);
  }
  return found;
});
async function checkContrast(page, name) {
  const found = await faint(page);
  check(`texts are readable, ${name}`, found.length === 0);
  if (found.length) result.faint = [...result.faint ?? [], ...found];
}

async function unlessItFails(name, action) {
  try {
    await action();
  } catch (error) {
    result.troubles.push(`${name}: ${String(error.message ?? error).split("\n")[0]}`);
  }
}

if (!token) await unlessItFails("desktop", async () => {
  const page = await open(1360, 900, "light");
  const video = '[aria-label="Stream live/test"] video';
  await page.waitForFunction((of) => document.querySelector(of)?.readyState >= 3, video, { timeout: 20_000 });
  const frames = () => page.evaluate((of) => document.querySelector(of).getVideoPlaybackQuality().totalVideoFrames, video);
  const before = await frames();
  await page.waitForTimeout(isMock ? 10_000 : 8_000);
  result.frames = await frames() - before;
  check("pictures move", result.frames > 50);
  result.behindMs = await page.evaluate((of) => {
    const { buffered, currentTime } = document.querySelector(of);
    return Math.round((buffered.end(buffered.length - 1) - currentTime) * 1000);
  }, video);
  check("at the live edge", result.behindMs < 1500);
  const points = await page.evaluate(() => [...document.querySelectorAll('[aria-label="Stream live/test"] .line')]
    .map((line) => (line.getAttribute("d") ?? "").split("L").length));
  check("plots of bitrate and delay fill", points.length === 3 && points.every((count) => count >= 4));
  const lines = await page.locator("#lines code").allTextContents();
  const { port } = await page.evaluate(() => ({ port: rtmpPort }));
  const starts = ["ffmpeg -re", `rtmp://${new URL(url).hostname}:${port}/live`, "test", "ffplay -fflags nobuffer rtmp://"];
  check("lines for this server are there", starts.every((start) => lines.some((line) => line.startsWith(start))));
  await page.fill("#publish-key", "a b");
  const keyed = await page.locator("#lines code").allTextContents();
  check("a key comes into the lines", keyed.includes("test?key=a%20b") && keyed.some((line) => line.endsWith("/live/test?key=a%20b'")));
  await page.fill("#publish-key", "");
  await checkContrast(page, "light");
  check("names of streams are only text", !(await page.evaluate("window.hacked")));
  await shot(page, "desktop-light", true);

  // By keyboard alone: to the button that closes the publisher, and yes.
  await page.locator("#main").focus();
  let steps = 0;
  const isThere = () => page.evaluate("(document.activeElement.getAttribute('aria-label') ?? '').startsWith('Close publisher')");
  while (steps < 120 && !(await isThere())) {
    await page.keyboard.press("Tab");
    steps += 1;
  }
  check("the keyboard reaches the close button", await isThere());
  const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
  check("focus is seen", outline === "solid");
  await page.keyboard.press("Enter");
  check("it is asked before", await page.locator("#confirm").evaluate((dialog) => dialog.open));
  check("the careful answer has the focus", await page.evaluate("document.activeElement.id === 'confirm-no'"));
  await shot(page, "confirm");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const isGone = () => document.querySelector("#client-rows [aria-label^='Close publisher']") === null;
  await page.waitForFunction(isGone, null, { timeout: 5000 })
    .then(() => check("a click closes a client", true), () => check("a click closes a client", false));
  const isTold = () => document.querySelector("#session-rows").textContent.includes("closed by the operator");
  if (!isMock) {
    await page.waitForFunction(isTold, null, { timeout: 10_000 })
      .then(() => check("the reason is told", true), () => check("the reason is told", false));
  }
  check("the focus is not lost", await page.evaluate("document.activeElement !== document.body"));
  await page.context().close();
});

if (!token) await unlessItFails("dark", async () => {
  const page = await open(1360, 900, "dark");
  await page.waitForTimeout(5_000);
  await checkContrast(page, "dark");
  await shot(page, "desktop-dark", true);
  await page.context().close();
});

if (!token) await unlessItFails("phone", async () => {
  const page = await open(360, 740, "light");
  await page.waitForTimeout(6_000);
  check("no sideways scroll at 360 px", !(await isWide(page)));
  const small = await page.evaluate(() => [...document.querySelectorAll("button")].filter((button) => button.checkVisibility())
    .filter((button) => button.getBoundingClientRect().height < 30).map((button) => button.textContent));
  check("buttons can be hit by a finger", small.length === 0);
  await checkContrast(page, "phone");
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

if (token) await unlessItFails("token", async () => {
  const page = await open(1100, 800, "light");
  await page.waitForSelector("#gate:not([hidden])");
  check("the field for the token has the focus", await page.evaluate("document.activeElement.id === 'token'"));
  await page.keyboard.type("no");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(2000);
  check("a wrong token opens nothing", await page.locator("#gate").isVisible() && !(await page.locator("#content").isVisible()));
  await shot(page, "token");
  await checkContrast(page, "gate");
  await page.locator("#token").fill(token);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#stream-list article", { timeout: 5000 });
  const video = '[aria-label="Stream live/test"] video';
  await page.waitForFunction((of) => document.querySelector(of)?.readyState >= 3, video, { timeout: 20_000 });
  check("the token opens it", true);
  await page.reload();
  await page.waitForSelector("#stream-list article", { timeout: 5000 });
  check("the tab remembers it", await page.locator("#gate").isHidden());
  await page.context().close();
});

await browser.close();
console.log(JSON.stringify(result));
