"use strict";
/* Draws the run that stands in the page as JSON (page_data.py); times are microseconds. */
const data = JSON.parse(document.getElementById("data").textContent);
const spans = data.spans;
const SYMBOLS = { ok: "✓", warned: "!", failed: "✕", killed: "■", skipped: "–", reused: "↻", running: "…", unknown: "?" };
const CRITICAL = "◆";
const SHORT = 0.003; // share of the critical path below which its table folds stretches together
const BROKEN = new Set(["failed", "killed"]);
const VIEWS = { waterfall: "Waterfall", threads: "Threads", dag: "Links", path: "Critical path", logs: "Logs" };
const PRINTED = new Set(["waterfall", "path"]);
const LEVELS = ["debug", "info", "warning", "error"];

const children = spans.map(() => []);
const followers = spans.map(() => []);
const onPath = new Map(); // span -> its segments of the critical path
spans.forEach((span, i) => {
  span.after ??= [];
  span.reads ??= [];
  if (span.up !== undefined) children[span.up].push(i);
  span.after.forEach((before) => followers[before].push(i));
});
data.path.forEach((part) => {
  onPath.set(part.span, [...(onPath.get(part.span) ?? []), part]);
});
// When the first part of each began: before, dbt reads its project.
const begins = children.map((inner) => spans[inner.find((i) => spans[i].kind !== "phase")]?.at ?? 0);
const isTest = (span) => span.type === "test" || span.type === "unit_test";
const fill = (span) => (BROKEN.has(span.state) ? `is-${span.state}` : `fill-${span.kind === "node" ? span.type : span.kind}`);
const end = (span) => span.at + span.for;

/* Elements: styles go through the object model, since the page's policy forbids style attributes. */
function make(tag, properties = {}, ...inner) {
  const svg = tag.startsWith("svg:");
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "style") for (const [key, set] of Object.entries(value)) node.style.setProperty(key, set);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...inner.flat(Infinity).filter((part) => part !== undefined && part !== null && part !== false));
  return node;
}
const div = (kind, ...inner) => make("div", { class: kind }, ...inner);
const cell = (kind, ...inner) => make("td", { class: kind }, ...inner);
const muted = (text) => make("span", { class: "muted" }, text);
const empty = (text) => make("p", { class: "empty" }, text);
const button = (text, onclick, more = {}) => make("button", { type: "button", onclick, ...more }, text);
function table(kind, heads, body) {
  const row = make("tr", {}, heads.map((head) => make("th", { class: head.kind }, head.text)));
  return make("table", { class: kind }, make("thead", {}, row), body);
}
/* A button that turns a flag of the state, and draws anew. */
function toggle(name, text, draw) {
  const found = button(text, () => {
    state[name] = !state[name];
    found.setAttribute("aria-pressed", String(state[name]));
    draw();
  }, { "aria-pressed": String(Boolean(state[name])) });
  return found;
}
const $ = (id) => document.getElementById(id);
const percent = (share) => `${(share * 100).toFixed(3)}%`;

function seconds(us) {
  const s = us / 1e6;
  if (s < 0.0995) return `${Math.round(s * 1000)} ms`;
  if (s < 9.995) return `${s.toFixed(2)} s`;
  if (s < 59.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return whole < 3600 ? `${minutes} min ${two(whole % 60)} s` : `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}
const clock = (at) => new Date((data.began + at) / 1000).toISOString().slice(11, 23);
const symbol = (span) => make("span", { class: `symbol ${span.state}`, "aria-label": span.word ?? span.state }, SYMBOLS[span.state]);

/* What is shown is in the address after #, so that a link or a screenshot shows the same. */
const state = {};
function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const span = spans.findIndex((one) => one.id === asked.get("span"));
  state.view = VIEWS[asked.get("view")] ? asked.get("view") : "waterfall";
  state.theme = asked.get("theme") ?? state.theme ?? document.documentElement.dataset.theme;
  state.span = span < 0 ? undefined : span;
  state.search = asked.get("q") ?? "";
  state.failed = asked.has("failed");
  state.critical = asked.has("critical");
  state.noTests = asked.has("notests");
  state.level = asked.get("level") ?? "info";
  const zoom = (asked.get("zoom") ?? "").split("-").map(Number);
  state.zoom = zoom.length === 2 && zoom[1] > zoom[0] ? zoom : undefined;
  state.cursor = state.span ?? 0;
  state.flipped ??= new Set();
}
function writeAddress() {
  const said = new URLSearchParams();
  const say = (name, value) => value && said.set(name, value);
  say("view", state.view !== "waterfall" && state.view);
  say("theme", state.theme);
  say("span", spans[state.span]?.id);
  say("q", state.search);
  say("failed", state.failed && "1");
  say("critical", state.critical && "1");
  say("notests", state.noTests && "1");
  say("level", state.level !== "info" && state.level);
  say("zoom", state.zoom?.map(Math.round).join("-"));
  try {
    history.replaceState(null, "", `#${said}`);
  } catch {
    // A frame that holds the page as a text has no address of its own.
  }
}

/* A link to a span that changes nothing else. */
function spanLink(i, text = spans[i].name) {
  return make("a", { href: `#span=${spans[i].id}`, "data-span": i, onclick: (event) => {
    event.preventDefault();
    select(i);
  } }, text);
}

/* Side panel */
function panel() {
  const span = spans[state.span];
  const isChosen = (node) => Boolean(span) && Number(node.dataset.span) === state.span;
  $("panel").hidden = !span;
  document.querySelectorAll(".row").forEach((row) => row.setAttribute("aria-selected", String(isChosen(row))));
  document.querySelectorAll(".node").forEach((node) => node.classList.toggle("selected", isChosen(node)));
  if (!span) return;
  const before = [...span.after].sort((a, b) => end(spans[b]) - end(spans[a]));
  const readsNot = (i) => (span.reads.includes(i) ? "" : ", must pass first");
  const events = (span.events ?? []).map(([at, name, about]) =>
    [div("", `${name} `, muted(`at ${seconds(at)}`)), pairs(lastWords(about))]);
  const isNamed = span.kind === "node" || span.kind === "stream";
  const lines = isNamed ? data.logs.filter((line) => line[3].includes(span.name)).slice(0, 20) : [];
  const about = span.about && pairs({ ...span.about, "span id": span.id, "trace id": data.trace }, "wide");
  const type = span.type ?? (span.kind === "other" ? "span" : span.kind);
  $("panel").replaceChildren(...[
    button("✕", () => select(undefined), { class: "close", "aria-label": "Close" }),
    make("h2", {}, span.name),
    make("p", { class: span.state }, `${SYMBOLS[span.state]} ${span.word ?? span.state} `, muted(type)),
    span.note && make("pre", { class: BROKEN.has(span.state) ? "failed" : "muted" }, span.note.trim()),
    pairs(timesOf(span, state.span)),
    div("tools", button("Zoom to it", () => zoomTo([span.at, end(span) + 1])),
      state.view !== "waterfall" && button("In the waterfall", () => show("waterfall", true))),
    block(`Waited for (${before.length})`, spanList(before, (i) => `${i === before[0] ? ", the last to end" : ""}${readsNot(i)}`)),
    block(`Waited for it (${followers[state.span].length})`, spanList(followers[state.span], () => "")),
    block("Linked in other traces", (span.elsewhere ?? []).map(([trace, id, why]) => pairs({ trace, span: id, ...lastWords(why) }))),
    block("Events", events),
    block("Log lines that name it", lines.map((line) => make("pre", {}, `${clock(line[0])} ${line[2]}: ${line[3]}`))),
    block("Attributes", about ? [about] : []),
  ].flat(Infinity).filter(Boolean));
}
const block = (title, inner) => (inner.length ? [make("h3", {}, title), inner] : []);
const lastWords = (values) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name.split(".").at(-1), value]));
function pairs(values, kind) {
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  return make("dl", { class: kind }, Object.entries(values).map(([name, value]) =>
    [make("dt", {}, name), make("dd", {}, text(value))]));
}
function spanList(places, more) {
  if (!places.length) return [];
  return [make("ul", {}, places.map((i) =>
    make("li", {}, symbol(spans[i]), " ", spanLink(i), muted(` ${seconds(spans[i].for)}${more(i)}`))))];
}
function timesOf(span, i) {
  const share = ((100 * span.for) / (data.length || 1)).toFixed(1);
  const times = { Took: `${seconds(span.for)}, ${share} % of the run`, Began: `${seconds(span.at)} in, ${clock(span.at)} UTC` };
  if (waitOf(span)) times.Waited = `${seconds(waitOf(span))} for a free thread, after all it builds on was done`;
  if (span.thread) times.Thread = span.thread;
  const critical = (onPath.get(i) ?? []).reduce((sum, part) => sum + part.for, 0);
  if (critical) times["Critical path"] = `${CRITICAL} ${seconds(critical)} of it`;
  children[i].filter((child) => spans[child].kind === "phase").forEach((child) => {
    times[spans[child].name] = seconds(spans[child].for);
  });
  return times;
}
function select(i) {
  const wasOpen = state.span !== undefined;
  state.span = i;
  if (i !== undefined) state.cursor = i;
  panel();
  writeAddress();
  if (state.view === "threads" && wasOpen !== (i !== undefined)) render(); // its names depend on the width
  if (state.view === "dag") reveal(i);
  const row = document.querySelector(`.view:not([hidden]) .row[data-span="${i}"]`);
  if (row) row.scrollIntoView({ block: "nearest" });
}

function showTip(event) {
  const from = event.target.closest?.("[data-span]");
  const span = from && spans[Number(from.dataset.span)];
  $("tip").hidden = !span;
  if (!span) return;
  const said = [`${SYMBOLS[span.state]} ${span.word ?? span.state}`, `${seconds(span.for)} from ${seconds(span.at)}`];
  if (waitOf(span)) said.push(`waited ${seconds(waitOf(span))} for a thread`);
  if (onPath.has(Number(from.dataset.span))) said.push(`${CRITICAL} critical path`);
  const note = BROKEN.has(span.state) && span.note ? `\n${span.note.trim().split("\n")[0]}` : "";
  const tip = $("tip");
  tip.textContent = `${span.name}\n${said.join(", ")}${note}`;
  const near = from.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const isBelow = near.bottom + 6 + own.height < innerHeight;
  tip.style.left = `${Math.max(4, Math.min(event.clientX ?? near.left + 40, innerWidth - own.width - 8))}px`;
  tip.style.top = `${isBelow ? near.bottom + 6 : Math.max(4, near.top - own.height - 6)}px`;
}

/* Tabs, theme, start */
const drawn = { waterfall, threads, dag: drawGraph, path, logs };
function render() {
  for (const view of document.querySelectorAll(".view")) {
    const name = view.dataset.view;
    view.hidden = name !== state.view;
    if (!view.hidden || PRINTED.has(name)) view.replaceChildren(...drawn[name](view).filter(Boolean));
  }
  for (const tab of $("tabs").children) {
    tab.setAttribute("aria-selected", String(tab.dataset.tab === state.view));
    tab.tabIndex = tab.dataset.tab === state.view ? 0 : -1;
  }
  drawWaterfall();
  document.documentElement.toggleAttribute("data-theme", Boolean(state.theme));
  if (state.theme) document.documentElement.dataset.theme = state.theme;
  $("theme").textContent = isDark() ? "Light" : "Dark";
  panel();
  writeAddress();
}
const isDark = () => (state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
function show(view, clear) {
  state.view = view;
  if (clear) Object.assign(state, { search: "", failed: false, critical: false, noTests: false });
  render();
  if (state.span !== undefined) select(state.span);
}
function start() {
  $("main").hidden = $("theme").hidden = false;
  const names = Object.keys(VIEWS);
  $("tabs").append(...names.map((name) => button(VIEWS[name], () => show(name),
    { role: "tab", "data-tab": name, id: `tab-${name}`, "aria-controls": `view-${name}` })));
  $("views").append(...names.map((name) => make("section", { class: "view", role: "tabpanel", id: `view-${name}`,
    "data-view": name, "data-printed": PRINTED.has(name) ? "" : undefined, "aria-labelledby": `tab-${name}` })));
  $("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    show(names[(names.indexOf(state.view) + step + names.length) % names.length]);
    $(`tab-${state.view}`).focus();
  });
  $("theme").addEventListener("click", () => {
    state.theme = isDark() ? "light" : "dark";
    render();
  });
  document.querySelector(".broken")?.addEventListener("click", (event) => {
    if (!event.target.dataset.span) return;
    event.preventDefault();
    select(Number(event.target.dataset.span));
  });
  for (const kind of ["pointerover", "focusin"]) $("main").addEventListener(kind, showTip);
  for (const kind of ["pointerleave", "focusout"]) $("main").addEventListener(kind, () => { $("tip").hidden = true; });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (state.span !== undefined) select(undefined); else if (state.zoom) zoomTo(undefined);
  });
  addEventListener("hashchange", () => { readAddress(); render(); });
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(render, 150); });
  const begun = document.querySelector("time");
  begun.append(`, here ${new Date(begun.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })}`);
  readAddress();
  render();
}
start();
