// The console of rtmpd. It asks the API once a second and shows what it says.
// What comes from the API was named by others: it is only ever set as text.
"use strict";

const POLL_MS = 1000;
const SESSIONS_EVERY = 3;
const HISTORY_MS = 120_000;
const MOST_PREVIEWS = 6;
const BEHIND_S = 1.2;
const TOKEN_KEY = "rtmpd-token";

const byId = (id) => document.getElementById(id);

// ---- Elements

// An element with attributes and children; text is always text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Only what changed is written, so that selections and screen readers are left in peace.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Makes the children of `parent` those of `items`, in their order, using again what is there already.
function reconcile(parent, items, keyOf, create, update) {
  const known = parent.known ??= new Map();
  const keys = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (keys.has(key)) continue;
    keys.add(key);
    let entry = known.get(key);
    if (!entry) {
      entry = create(item);
      known.set(key, entry);
    }
    if (entry.element === at) at = at.nextElementSibling;
    else parent.insertBefore(entry.element, at);
    update(entry, item);
  }
  for (const [key, entry] of known) {
    if (keys.has(key)) continue;
    known.delete(key);
    const hadFocus = entry.element.contains(document.activeElement);
    entry.remove?.();
    entry.element.remove();
    if (hadFocus) (parent.querySelector("button") ?? byId("main")).focus();
  }
}

const say = (text) => setText(byId("news"), text);

// ---- Numbers for people

function scaled(value, steps) {
  let unit = steps[0];
  for (const step of steps) if (Math.abs(value) >= step[0]) unit = step;
  const number = value / unit[0];
  const digits = unit[0] === 1 || number >= 100 ? 0 : number >= 10 ? 1 : 2;
  return `${number.toFixed(digits)} ${unit[1]}`;
}
const bits = (value) => scaled(value ?? 0, [[1, "bit/s"], [1e3, "kbit/s"], [1e6, "Mbit/s"], [1e9, "Gbit/s"]]);
const bytes = (value) => scaled(value ?? 0, [[1, "B"], [1e3, "kB"], [1e6, "MB"], [1e9, "GB"], [1e12, "TB"]]);
const delay = (us) => (us == null ? "–" : us < 1000 ? `${Math.round(us)} µs` : `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`);
const count = (value) => (value ?? 0).toLocaleString("en");

function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds ?? 0));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

// ---- The API

const encodePath = (name) => name.split("/").map(encodeURIComponent).join("/");

class Refused extends Error {}

async function call(path, method = "GET") {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(`/api/v1/${path}`, { method, headers, cache: "no-store" });
  if (response.status === 401 || response.status === 403) {
    const body = await response.json().catch(() => ({}));
    const isWrong = response.status === 401 && token;
    throw new Refused(isWrong ? "That is not the token that it wants." : `It says: ${body.error || response.status}`);
  }
  if (method === "GET" && !response.ok) throw new Error(`the API answers ${response.status}`);
  return method === "GET" ? response.json() : response;
}

// ---- Plots

const PLOT_W = 240, PLOT_H = 64;

class Plot {
  constructor(title, format, least, hasTwo) {
    this.format = format;
    this.least = least;
    this.points = [];
    this.now = make("b");
    this.top = make("span");
    this.area = makeSvg("path", { class: "area" });
    this.one = makeSvg("path", { class: "line" });
    this.two = hasTwo ? makeSvg("path", { class: "line two" }) : null;
    const grid = makeSvg("path", { class: "grid", d: `M0 ${PLOT_H / 2}H${PLOT_W}` });
    this.svg = makeSvg("svg", { viewBox: `0 0 ${PLOT_W} ${PLOT_H}`, preserveAspectRatio: "none", role: "img" },
      grid, this.area, this.one, ...(this.two ? [this.two] : []));
    this.title = title;
    this.element = make("figure", { class: "plot" }, make("figcaption", {}, make("span", {}, title), this.now),
      this.svg, make("div", { class: "scale", "aria-hidden": "true" }, make("span", {}, "2 min"), this.top));
  }

  add(at, one, two = null) {
    this.points.push({ at, one, two });
    while (this.points.length && this.points[0].at < at - HISTORY_MS) this.points.shift();
    const values = this.points.flatMap((point) => [point.one, point.two]).filter((value) => value != null);
    const top = niceTop(Math.max(this.least, ...values));
    const x = (point) => (PLOT_W * (1 - (at - point.at) / HISTORY_MS)).toFixed(1);
    const y = (value) => (PLOT_H - 2 - (PLOT_H - 6) * value / top).toFixed(1);
    const path = (key) => this.points.filter((point) => point[key] != null)
      .map((point, index) => `${index ? "L" : "M"}${x(point)} ${y(point[key])}`).join("");
    const line = path("one");
    this.one.setAttribute("d", line);
    const first = this.points.find((point) => point.one != null);
    this.area.setAttribute("d", line ? `${line}V${PLOT_H}H${x(first)}Z` : "");
    this.two?.setAttribute("d", path("two"));
    const now = two == null ? this.format(one) : `${this.format(one)} / ${this.format(two)}`;
    setText(this.now, now);
    setText(this.top, `up to ${this.format(top)}`);
    this.svg.setAttribute("aria-label", `${this.title}, now ${now}, the last two minutes`);
  }
}

function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999) ?? value;
}

// ---- Live pictures: MediaSource over WebSocket. The first message names the codecs, fragments follow.

const Source = window.ManagedMediaSource ?? window.MediaSource;
const running = new Set();

class Preview {
  constructor(name) {
    this.name = name;
    this.isVisible = false;
    this.isLive = false;
    this.isWanted = true;
    this.retryMs = 1000;
    this.video = make("video", { playsinline: "", autoplay: "", tabindex: "-1", "aria-label": `Live picture of ${name}` });
    this.video.muted = true;
    this.video.disableRemotePlayback = true;
    this.over = make("div", { class: "over" });
    this.air = make("span", { class: "air" });
    this.behind = make("span", { class: "behind", hidden: "" });
    this.toggle = make("button", { type: "button", onclick: () => this.setWanted(!this.isWanted) }, "Pause");
    this.sound = make("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggleSound() }, "Sound");
    this.keys = make("div", { class: "keys" }, this.toggle, this.sound);
    this.element = make("div", { class: "picture" }, this.video, this.over, this.air, this.behind, this.keys);
    this.toggle.setAttribute("aria-label", `Pause the picture of ${name}`);
    this.sound.setAttribute("aria-label", `Sound of ${name}`);
    sight.observe(this.element);
    this.element.preview = this;
  }

  setWanted(isWanted) {
    this.isWanted = isWanted;
    setText(this.toggle, isWanted ? "Pause" : "Play");
    this.toggle.setAttribute("aria-label", `${isWanted ? "Pause" : "Play"} the picture of ${this.name}`);
    if (!isWanted) this.stop("Paused");
    schedulePreviews();
  }

  toggleSound() {
    this.video.muted = !this.video.muted;
    this.sound.setAttribute("aria-pressed", String(!this.video.muted));
    setText(this.sound, this.video.muted ? "Sound" : "Mute");
  }

  setLive(isLive) {
    if (isLive && !this.isLive) this.retryMs = 1000;
    this.isLive = isLive;
    setText(this.air, isLive ? "LIVE" : "OFF AIR");
    this.air.dataset.live = isLive ? "yes" : "no";
    this.keys.hidden = !isLive;
    if (!isLive) this.stop("Waiting for its publisher");
  }

  mayRun() {
    return this.isVisible && this.isLive && this.isWanted && !document.hidden && !this.isResting;
  }

  start() {
    if (!Source) return setText(this.over, "This browser has no MediaSource: play the HLS address instead.");
    running.add(this);
    setText(this.over, "Joining …");
    const media = new Source();
    const run = { media, waiting: [], waitingBytes: 0, buffer: null, socket: null, isOver: false };
    this.run = run;
    this.address = URL.createObjectURL(media);
    this.video.src = this.address;
    media.addEventListener("sourceopen", () => this.open(run), { once: true });
    this.video.play().catch(() => {});
  }

  open(run) {
    if (run.isOver) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const key = keyQuery(byId("play-key").value);
    const socket = new WebSocket(`${scheme}//${location.host}/${encodePath(this.name)}.mp4${key}`);
    run.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (run.isOver) return;
      if (typeof data === "string") return this.begin(run, data);
      run.waiting.push(data);
      run.waitingBytes += data.byteLength;
      // A buffer that takes nothing any more.
      if (run.waitingBytes > 32e6) return this.fail(run, "The picture cannot be decoded fast enough");
      this.append(run);
    };
    socket.onclose = () => this.fail(run, byId("play-key").value ? "No picture" : "No picture. If a key is wanted, give it below, at Connect.");
  }

  begin(run, mime) {
    if (run.buffer) return;
    if (!Source.isTypeSupported(mime)) {
      this.fail(run, `This browser cannot play ${mime}`);
      this.retryMs = 60_000;
      return;
    }
    run.hasVideo = /avc|hev|hvc|av01|vp0?[89]/.test(mime);
    try {
      run.buffer = run.media.addSourceBuffer(mime);
    } catch (error) {
      return this.fail(run, `This browser cannot play ${mime}: ${error.message}`);
    }
    run.buffer.addEventListener("updateend", () => {
      this.stayLive(run);
      this.append(run);
    });
    run.buffer.addEventListener("error", () => this.fail(run, "The picture cannot be decoded"));
    this.append(run);
  }

  append(run) {
    const { buffer, waiting } = run;
    if (run.isOver || !buffer || buffer.updating || waiting.length === 0) return;
    const piece = waiting.shift();
    run.waitingBytes -= piece.byteLength;
    try {
      buffer.appendBuffer(piece);
    } catch (error) {
      this.fail(run, `No picture: ${error.message}`);
    }
  }

  // Jumps where it fell behind, runs a little faster where it is late, and forgets what was seen.
  stayLive(run) {
    if (run.isOver) return;
    const { video } = this;
    const { buffered } = run.buffer;
    if (buffered.length === 0) return;
    const start = buffered.start(buffered.length - 1), end = buffered.end(buffered.length - 1);
    const behind = end - video.currentTime;
    if (video.currentTime < start || behind > BEHIND_S) video.currentTime = Math.max(start, end - 0.15);
    video.playbackRate = behind > 0.5 ? 1.06 : 1;
    if (video.readyState >= 2) {
      setText(this.over, run.hasVideo ? "" : "Sound only");
      this.retryMs = 1000;
    }
    const first = buffered.start(0);
    if (video.currentTime - first > 30 && !run.buffer.updating) run.buffer.remove(first, video.currentTime - 10);
    if (video.paused && !video.ended) video.play().catch(() => {});
  }

  showBehind() {
    const { buffered, currentTime } = this.video;
    const isShown = this.run && buffered.length > 0 && this.video.readyState >= 2;
    this.behind.hidden = !isShown;
    if (isShown) {
      const ms = Math.max(0, (buffered.end(buffered.length - 1) - currentTime) * 1000);
      setText(this.behind, `buffer ${Math.round(ms / 10) * 10} ms`);
    }
  }

  fail(run, why) {
    if (run.isOver || run !== this.run) return;
    this.stop(why);
    // Not at once again: whoever refused it would do so again.
    this.isResting = true;
    setTimeout(() => {
      this.isResting = false;
      schedulePreviews();
    }, this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, 30_000);
  }

  stop(why = "") {
    running.delete(this);
    if (why || this.run) setText(this.over, why);
    this.behind.hidden = true;
    if (!this.run) return;
    this.run.isOver = true;
    this.run.socket?.close();
    this.run = null;
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.address);
  }

  remove() {
    sight.unobserve(this.element);
    this.isVisible = false;
    this.stop();
    schedulePreviews();
  }
}

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.preview.isVisible = isIntersecting;
  schedulePreviews();
}, { rootMargin: "60px" });

// Those in sight, from the top, as many as may run.
function schedulePreviews() {
  const all = [...document.querySelectorAll(".picture")].map((element) => element.preview);
  const wanted = all.filter((preview) => preview.mayRun());
  const chosen = new Set(wanted.slice(0, MOST_PREVIEWS));
  for (const preview of running) if (!chosen.has(preview)) preview.stop("Not in sight");
  for (const preview of wanted) {
    if (!chosen.has(preview)) setText(preview.over, `No more than ${MOST_PREVIEWS} pictures run at once: pause another`);
    else if (!preview.run) preview.start();
  }
}
document.addEventListener("visibilitychange", schedulePreviews);

// ---- Streams

const PROTOCOLS = [["rtmp", "RTMP"], ["flv", "HTTP-FLV"], ["ts", "MPEG-TS"], ["mp4", "fMP4"], ["hls", "HLS"]];

function makeStream(stream) {
  const entry = { preview: new Preview(stream.name), last: null, wasLive: null };
  entry.by = make("span", { class: "by" });
  entry.media = make("ul", { class: "chips", "aria-label": "Media" });
  entry.players = make("ul", { class: "chips", "aria-label": "Players by protocol" });
  entry.bitrate = new Plot("Bitrate", bits, 1000, false);
  entry.delay = new Plot("Delay, p50 / p99", delay, 100, true);
  entry.delay.element.title = "What the server adds: from a message's arrival to its leaving";
  entry.warnings = make("ul", { class: "warnings", "aria-label": "Warnings" });
  entry.record = make("button", { type: "button", onclick: () => toggleRecording(entry) });
  entry.hls = make("a", { href: `/${encodePath(stream.name)}.m3u8` }, "HLS");
  entry.name = stream.name;
  entry.element = make("article", { class: "card stream", "aria-label": `Stream ${stream.name}` }, entry.preview.element,
    make("div", { class: "about" },
      make("div", { class: "title" }, make("h3", {}, stream.name), entry.by), entry.media, entry.warnings,
      make("div", { class: "plots" }, entry.bitrate.element, entry.delay.element), entry.players,
      make("div", { class: "row" }, entry.record)));
  entry.remove = () => entry.preview.remove();
  return entry;
}

async function toggleRecording(entry) {
  const method = entry.isRecording ? "DELETE" : "PUT";
  try {
    const response = await call(`streams/${encodePath(entry.name)}/recording`, method);
    const problem = response.ok ? null : (await response.json().catch(() => ({}))).error;
    say(problem ?? `${entry.name}: recording ${entry.isRecording ? "stopped" : "started"}`);
  } catch (error) {
    say(String(error.message));
  }
  refresh();
}

function chips(list, items) {
  reconcile(list, items, ([key]) => key, () => {
    const label = document.createTextNode(""), value = make("b");
    return { element: make("li", {}, label, value), label, value };
  }, (entry, [, label, value, tone]) => {
    setText(entry.label, value === "" ? label : `${label} `);
    setText(entry.value, value);
    entry.element.dataset.tone = tone ?? "";
  });
}

function updateStream(entry, stream, at) {
  entry.preview.setLive(stream.is_published);
  if (entry.wasLive !== null && entry.wasLive !== stream.is_published) {
    say(`${stream.name} ${stream.is_published ? "is on air" : "went off air"}`);
  }
  entry.wasLive = stream.is_published;
  const { publisher, video, audio } = stream;
  const off = stream.is_published ? "built into the server" : "no publisher";
  setText(entry.by, publisher ? `from ${publisher.peer}, ${duration(publisher.since_s)}` : off);
  const media = [];
  if (video) {
    media.push(["video", video.codec, ""]);
    if (video.width) media.push(["size", `${video.width} × ${video.height}`, ""]);
    if (video.frame_rate) media.push(["rate", `${+video.frame_rate.toFixed(2)} fps`, ""]);
    if (video.gop_ms) media.push(["gop", "key frame every", `${(video.gop_ms / 1000).toFixed(1)} s`]);
  }
  if (audio) {
    const channels = { 1: "mono", 2: "stereo" }[audio.channels] ?? (audio.channels ? `${audio.channels} channels` : "");
    media.push(["audio", [audio.codec, audio.sample_rate && `${audio.sample_rate / 1000} kHz`, channels].filter(Boolean).join(", "), ""]);
  }
  if (stream.is_recording) media.push(["recording", "● recording", "", "bad"]);
  if (stream.dropped_messages) media.push(["dropped", "dropped for slow players", count(stream.dropped_messages)]);
  if (stream.anomalies) media.push(["anomalies", "clock jumps mended", count(stream.anomalies)]);
  chips(entry.media, media);
  chips(entry.players, PROTOCOLS.map(([key, label]) => {
    const players = stream.players?.[key] ?? 0;
    return [key, label, count(players), players ? "" : "off"];
  }));
  reconcile(entry.warnings, stream.warnings ?? [], (warning) => warning.kind, () => ({ element: make("li") }),
    (line, warning) => setText(line.element, warning.text));
  entry.warnings.hidden = !stream.warnings?.length;
  entry.isRecording = stream.is_recording;
  setText(entry.record, stream.is_recording ? "Stop recording" : "Record");
  entry.record.setAttribute("aria-label", `${stream.is_recording ? "Stop recording" : "Record"} ${stream.name}`);
  entry.record.disabled = !stream.is_published && !stream.is_recording;
  if (entry.last) {
    const seconds = (at - entry.last.at) / 1000;
    const rate = Math.max(0, (stream.bytes_in - entry.last.bytes) * 8 / seconds);
    entry.bitrate.add(at, rate);
  }
  entry.delay.add(at, stream.delay_us?.p50 ?? null, stream.delay_us?.p99 ?? null);
  entry.last = { at, bytes: stream.bytes_in };
  entry.preview.showBehind();
}

function showStreams(streams, at) {
  reconcile(byId("stream-list"), streams, (stream) => stream.name, makeStream,
    (entry, stream) => updateStream(entry, stream, at));
  byId("empty").hidden = streams.length > 0;
  const live = streams.filter((stream) => stream.is_published).length;
  setText(byId("streams-count"), streams.length ? `${live} on air` : "");
  schedulePreviews();
}

// ---- Tables

function makeRow(labels) {
  const cells = labels.map(([label, kind]) => make("td", { "data-label": label, class: kind ?? "" }));
  return { element: make("tr", {}, ...cells), cells };
}

const CLIENT_CELLS = [["Peer", "mono full"], ["Protocol"], ["Role"], ["Stream", "text full"], ["For", "number"], ["In", "number"],
  ["Out", "number"], ["Behind", "number"], ["Dropped", "number"], ["", "action"]];

function makeClient(client) {
  const entry = makeRow(CLIENT_CELLS);
  const close = make("button", { type: "button", onclick: () => askToClose(entry.client, close) }, "Close");
  close.setAttribute("aria-label", `Close ${client.role} ${client.peer}`);
  entry.cells.at(-1).append(close);
  return entry;
}

function updateClient(entry, client) {
  entry.client = client;
  const lag = client.queued_bytes ? `${count(client.lag_ms)} ms, ${bytes(client.queued_bytes)}` : `${count(client.lag_ms)} ms`;
  const texts = [client.peer, client.protocol, client.role, client.stream ?? "–", duration(client.since_s),
    bytes(client.bytes_in), bytes(client.bytes_out), lag, count(client.dropped_messages)];
  texts.forEach((text, index) => setText(entry.cells[index], text));
}

function showClients(clients) {
  reconcile(byId("client-rows"), clients, (client) => client.id, makeClient, updateClient);
  byId("clients-none").hidden = clients.length > 0;
  setText(byId("clients-count"), clients.length ? count(clients.length) : "");
}

let asked = null;

function askToClose(client, button) {
  asked = { client, button };
  const what = client.role === "publisher" ? "It publishes" : client.role === "player" ? "It plays" : "It is connected for";
  const text = client.stream ? `${what} ${client.stream}` : `${client.protocol.toUpperCase()} connection`;
  setText(byId("confirm-text"), `${client.peer} – ${text}. It may connect again at once.`);
  byId("confirm").showModal();
  byId("confirm-no").focus();
}

async function closeAsked() {
  const { client } = asked;
  byId("confirm").close();
  try {
    const response = await call(`clients/${encodeURIComponent(client.id)}`, "DELETE");
    say(response.ok ? `${client.peer} was closed` : `${client.peer} was gone already`);
  } catch (error) {
    say(`${client.peer} could not be closed: ${error.message}`);
  }
  refresh();
}

const SESSION_CELLS = [["Ended"], ["Lasted"], ["Peer", "mono full"], ["Protocol"], ["Role"], ["Stream", "text full"], ["In", "number"],
  ["Out", "number"], ["Dropped", "number"], ["Why it ended", "text wide"]];

function showSessions(sessions) {
  const keyOf = (session) => `${session.began_unix_ms} ${session.peer} ${session.duration_s}`;
  reconcile(byId("session-rows"), sessions.slice(0, 50), keyOf, () => makeRow(SESSION_CELLS), (entry, session) => {
    const ended = new Date(session.began_unix_ms + session.duration_s * 1000);
    const texts = [ended.toLocaleTimeString(), duration(session.duration_s), session.peer, session.protocol, session.role,
      session.stream ?? "–", bytes(session.bytes_in), bytes(session.bytes_out), count(session.dropped_messages),
      session.reason];
    texts.forEach((text, index) => setText(entry.cells[index], text));
    entry.cells[0].title = ended.toLocaleString();
  });
  byId("sessions-none").hidden = sessions.length > 0;
  setText(byId("sessions-count"), sessions.length > 50 ? `the latest 50 of ${count(sessions.length)}` : "");
}

// ---- Figures

let lastServer = null;

function showServer(server, at) {
  setText(byId("version"), server.version ?? "");
  const seconds = lastServer ? (at - lastServer.at) / 1000 : 0;
  const rate = (key) => (seconds > 0 ? bits(Math.max(0, (server[key] - lastServer.server[key]) * 8 / seconds)) : "–");
  const figures = [["Streams", count(server.streams)], ["Players", count(server.players)], ["Connections", count(server.connections)],
    ["In", rate("bytes_in")], ["Out", rate("bytes_out")],
    ["Memory", server.memory_bytes ? bytes(server.memory_bytes) : "–"], ["Up for", duration(server.uptime_s)]];
  reconcile(byId("figures"), figures, ([name]) => name, ([name]) => {
    const value = make("dd");
    return { element: make("div", {}, make("dt", {}, name), value), value };
  }, (entry, [, value]) => setText(entry.value, value));
  lastServer = { at, server };
  setState(server.is_draining ? "bad" : "good", server.is_draining ? "draining" : "connected");
  if (server.rtmp_port && server.rtmp_port !== rtmpPort) {
    rtmpPort = server.rtmp_port;
    showLines();
  }
}

function setState(state, text) {
  byId("state").dataset.state = state;
  setText(byId("state"), text);
}

// ---- How to connect

let rtmpPort = 1935;

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS there is no clipboard for pages: the old way.
    const field = make("textarea", { readonly: "", class: "hidden-text" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  setText(button, "Copied");
  say("Copied");
  setTimeout(() => setText(button, "Copy"), 1500);
}

function makeLine([what, text]) {
  const code = make("code", { tabindex: "0" }), button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", () => copy(code.textContent, button));
  button.setAttribute("aria-label", `Copy: ${what}`);
  const element = make("div", { class: "entry" }, make("p", { class: "what" }, what), make("div", { class: "box" }, code, button));
  setText(code, text);
  return { element, code };
}

// As one word for a shell.
const word = (text) => (/^[\w:/.@%+=,[\]-]+$/.test(text) && !/[[\]]/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// As the end of an address; nothing where there is no key.
const keyQuery = (key, before = "?") => (key ? `${before}key=${encodeURIComponent(key)}` : "");

function lines() {
  const host = location.hostname;
  const app = byId("app").value || "live", stream = byId("stream").value || "test";
  const path = `${encodePath(app)}/${encodePath(stream)}`;
  const port = rtmpPort === 1935 ? "" : `:${rtmpPort}`;
  const rtmp = `rtmp://${host}${port}/${path}`;
  const http = `${location.origin}/${path}`;
  const publishKey = byId("publish-key").value, playKey = byId("play-key").value;
  const publishing = `${rtmp}${keyQuery(publishKey)}`, playing = keyQuery(playKey);
  return {
    publish: [
      ["Publish a file with ffmpeg", `ffmpeg -re -stream_loop -1 -i video.mp4 -c copy -f flv ${word(publishing)}`],
      ["OBS: Settings, Stream, Custom – server", `rtmp://${host}${port}/${encodePath(app)}`],
      ["OBS: stream key", `${stream}${keyQuery(publishKey)}`],
    ],
    test: [["Publish a test picture with ffmpeg", "ffmpeg -re -f lavfi -i testsrc2=s=1280x720:r=30 -f lavfi -i sine=f=440 -c:v libx264 "
      + `-tune zerolatency -pix_fmt yuv420p -g 60 -c:a aac -f flv ${word(publishing)}`]],
    watch: [
      ["Watch at the live edge with ffplay", `ffplay -fflags nobuffer ${word(rtmp + playing)}`],
      ["HLS, for browsers and phones", `${http}.m3u8${playing}`],
      ["HTTP-FLV, also as WebSocket", `${http}.flv${playing}`],
      ["MPEG-TS over HTTP", `${http}.ts${playing}`],
      ["Fragmented MP4, also as WebSocket", `${http}.mp4${playing}`],
      ["Record what comes with ffmpeg", `ffmpeg -i ${word(`${rtmp}?join=gop${keyQuery(playKey, "&")}`)} -c copy recording.mkv`],
    ],
  };
}

function showLines() {
  const { publish, test, watch } = lines();
  const update = (entry, [, text]) => setText(entry.code, text);
  reconcile(byId("lines"), [...publish, ...test, ...watch], ([what]) => what, makeLine, update);
  reconcile(byId("empty-lines"), [...test, ...publish], ([what]) => what, makeLine, update);
}

// ---- The loop

let turn = 0;
let timer = null;
let isBusy = false;

function showGate(why) {
  const isShown = why !== null;
  const wasShown = !byId("gate").hidden;
  byId("gate").hidden = !isShown;
  byId("content").hidden = isShown;
  if (isShown) {
    setState("bad", "locked");
    setText(byId("gate-why"), why);
    if (!wasShown) byId("token").focus();
  }
}

async function refresh() {
  if (isBusy) return;
  isBusy = true;
  clearTimeout(timer);
  let next = POLL_MS;
  try {
    const wantsSessions = turn++ % SESSIONS_EVERY === 0;
    const [server, streams, clients, sessions] = await Promise.all([call("server"), call("streams"), call("clients"),
      wantsSessions ? call("sessions") : null]);
    const at = performance.now();
    showGate(null);
    showServer(server, at);
    showStreams(streams, at);
    showClients(clients);
    if (sessions) showSessions(sessions);
  } catch (error) {
    if (error instanceof Refused) {
      showGate(error.message);
      next = null;
    } else {
      setState("bad", error instanceof TypeError ? "server out of reach" : error.message);
      next = 2 * POLL_MS;
    }
  }
  isBusy = false;
  if (next !== null) timer = setTimeout(refresh, next);
}

byId("gate").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, byId("token").value);
  byId("token").value = "";
  refresh();
});
byId("confirm-no").addEventListener("click", () => byId("confirm").close());
byId("confirm-yes").addEventListener("click", closeAsked);
byId("confirm").addEventListener("close", () => asked?.button.isConnected && asked.button.focus());
for (const id of ["app", "stream", "publish-key", "play-key"]) byId(id).addEventListener("input", showLines);
showLines();
refresh();
