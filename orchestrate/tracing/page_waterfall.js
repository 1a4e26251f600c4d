"use strict";
/* States of what did nothing. */
const LEFT = new Set(["skipped", "reused"]);
/* Time axis: steps of 1, 2, 5 and so on, of minutes above one. */
function ticks(from, to, wanted) {
  const nice = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400].map((s) => s * 1e6);
  const least = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const step = least > 3e7 ? nice.find((n) => n >= least) ?? power * 10 : [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least);
  const digits = Math.max(0, Math.ceil(-Math.log10(step / 1e6) - 1e-9));
  const label = (at) => (step >= 6e7 ? `${Math.round(at / 6e7)} min` : `${(at / 1e6).toFixed(digits)} s`);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    found.push({ label: label(at), share: (at - from) / (to - from || 1) });
  }
  return found;
}
const wanted = (width) => Math.max(3, width / 90);
const isNarrow = () => matchMedia("(max-width: 640px)").matches;
function scale(from, to, width) {
  const place = (tick) => (tick.share < 0.02 ? "first" : tick.share > 0.96 ? "last" : "");
  return make("div", { class: "scale" }, ticks(from, to, wanted(width)).map((tick) =>
    make("span", { class: place(tick), style: { left: percent(tick.share) } }, tick.label)));
}
const range = () => state.zoom ?? [0, data.length || 1];

/* Waterfall */
function filtering() { return Boolean(state.search || state.failed || state.critical); }
function fits(span, i) {
  if (state.noTests && isTest(span.kind === "phase" ? spans[span.up] : span)) return false;
  if (state.zoom && (span.at > state.zoom[1] || end(span) < state.zoom[0])) return false;
  if (state.failed && !BROKEN.has(span.state)) return false;
  if (state.critical && !onPath.has(i)) return false;
  return !state.search || span.name.toLowerCase().includes(state.search.toLowerCase());
}
function shownRows() {
  const kept = new Set();
  spans.forEach((span, i) => {
    if (!fits(span, i)) return;
    for (let up = i; up !== undefined && !kept.has(up); up = spans[up].up) kept.add(up);
  });
  const rows = [];
  const walk = (i, depth) => {
    if (!kept.has(i) && !(filtering() && depth && spans[i].kind === "phase" && kept.has(spans[i].up))) return;
    const inner = children[i];
    const byDefault = spans[i].kind !== "node" || (filtering() && inner.some((child) => fits(spans[child], child)));
    const open = inner.length > 0 && byDefault !== state.flipped.has(i);
    rows.push({ i, depth, open, inner: inner.length });
    if (open) inner.forEach((child) => walk(child, depth + 1));
  };
  spans.forEach((span, i) => span.up === undefined && walk(i, 0));
  return rows;
}
function track(span, i) {
  const [from, to] = range();
  const left = (at) => Math.min(1, Math.max(0, (at - from) / (to - from)));
  const part = (kind, at, length) => at <= to && at + length >= from &&
    make("div", { class: kind, style: { left: percent(left(at)), width: percent(left(at + length) - left(at)) } });
  const wait = waitOf(span);
  const bar = part(`bar ${fill(span)} ${LEFT.has(span.state) ? "skipped" : ""}`, span.at, span.for);
  const compile = children[i].map((child) => spans[child]).find((child) => child.name === "compile");
  if (bar && compile && span.for && !BROKEN.has(span.state)) {
    const width = percent(Math.min(1, (end(compile) - span.at) / span.for));
    bar.append(make("div", { class: "compile", style: { width } }));
  }
  return make("div", { class: "track" },
    wait > 0 && part("late", span.at - wait, wait),
    bar,
    (onPath.get(i) ?? []).map((segment) => part(`critical ${segment.wait ? "waiting" : ""}`, segment.at, segment.for)),
    (span.events ?? []).map(([at]) => at >= from && at <= to && make("div", { class: "event", style: { left: percent(left(at)) } })));
}
/* How long a node waited for a thread, after all that it builds on was done; below 1 ms none. */
function waitOf(span) {
  if (span.kind !== "node" || !span.after.length || span.up === undefined) return 0;
  const wait = span.at - Math.max(begins[span.up], ...span.after.map((before) => end(spans[before])));
  return wait > 1000 ? wait : 0;
}
function rowOf({ i, depth, open, inner }) {
  const span = spans[i];
  return make("div", {
    class: "row", role: "treeitem", "data-span": i, "data-kind": span.kind, "aria-level": depth + 1,
    "aria-expanded": inner ? String(open) : undefined, "aria-selected": String(i === state.span),
    tabindex: i === state.cursor ? 0 : -1, style: { "--depth": depth },
  },
  make("div", { class: "name" },
    make("span", { class: "twisty", "data-twisty": inner ? i : undefined, "aria-hidden": "true" }, inner ? (open ? "▾" : "▸") : ""),
    symbol(span),
    make("b", {}, span.kind === "node" && span.type !== "model" && muted(`${span.type.replace("_", " ")} `), span.name),
    onPath.has(i) && make("span", { class: "mark", "aria-label": "on the critical path" }, CRITICAL)),
  make("div", { class: "number muted" }, span.kind === "node" && !span.for ? "" : seconds(span.for)),
  track(span, i));
}
function drawWaterfall(keepFocus) {
  const rows = shownRows();
  if (!rows.some((row) => row.i === state.cursor)) state.cursor = rows[0]?.i ?? 0;
  const tree = $("tree");
  const width = tree.clientWidth * (isNarrow() ? 1 : 0.55) || 300;
  const axis = make("div", { class: "axis" }, scale(...range(), width));
  const grid = ticks(...range(), wanted(width)).map((tick) => make("i", { style: { left: percent(tick.share) } }));
  tree.replaceChildren(make("div", { class: "grid", "aria-hidden": "true" }, make("div", {}, grid)), axis, ...rows.map(rowOf));
  const none = spans.length ? "No span fits. Clear the search or a filter." : "The ledger holds no span of this run.";
  if (!rows.length) tree.replaceChildren(empty(none));
  $("shown").textContent = `${rows.length} of ${spans.length} spans`;
  $("whole").hidden = !state.zoom;
  if (rows.length) brush(axis.firstChild);
  if (keepFocus) tree.querySelector('[tabindex="0"]')?.focus({ preventScroll: false });
}
/* Drag along the axis to zoom in. */
function brush(ruler) {
  const at = (event) => Math.min(1, Math.max(0, (event.clientX - ruler.getBoundingClientRect().left) / ruler.clientWidth));
  ruler.addEventListener("pointerdown", (down) => {
    const from = at(down);
    const mark = ruler.appendChild(make("div", { class: "brush" }));
    ruler.setPointerCapture(down.pointerId);
    ruler.onpointermove = (move) => {
      mark.style.left = percent(Math.min(from, at(move)));
      mark.style.width = percent(Math.abs(at(move) - from));
    };
    ruler.onpointerup = (up) => {
      const [low, high] = range();
      const [a, b] = [from, at(up)].sort((x, y) => x - y).map((share) => low + share * (high - low));
      if (b - a > (high - low) / 200) zoomTo([a, b]); else drawWaterfall();
    };
  });
}
function zoomTo(zoom) {
  state.zoom = zoom;
  render();
}
function flip(i) {
  if (!children[i].length) return;
  if (!state.flipped.delete(i)) state.flipped.add(i);
  drawWaterfall(true);
}
function onTreeKey(event) {
  const rows = [...$("tree").querySelectorAll(".row")];
  const place = rows.findIndex((row) => Number(row.dataset.span) === state.cursor);
  const open = rows[place]?.getAttribute("aria-expanded");
  const go = (to) => {
    const row = rows[Math.min(rows.length - 1, Math.max(0, to))];
    rows[place].tabIndex = -1;
    row.tabIndex = 0;
    state.cursor = Number(row.dataset.span);
    row.focus();
  };
  const actions = {
    ArrowDown: () => go(place + 1), ArrowUp: () => go(place - 1), Home: () => go(0), End: () => go(rows.length - 1),
    ArrowRight: () => (open === "false" ? flip(state.cursor) : open === "true" && go(place + 1)),
    ArrowLeft: () => (open === "true" ? flip(state.cursor) : go(rows.findIndex((row) => Number(row.dataset.span) === spans[state.cursor].up))),
    Enter: () => select(state.cursor), z: () => zoomTo([spans[state.cursor].at, end(spans[state.cursor]) + 1]),
  };
  if (place < 0 || !actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  actions[event.key]();
}
function waterfall() {
  const draw = () => {
    drawWaterfall();
    writeAddress();
  };
  const search = make("input", { type: "search", placeholder: "Search names", "aria-label": "Search names", value: state.search });
  search.addEventListener("input", () => {
    state.search = search.value;
    draw();
  });
  const sample = ([kind, text]) => make("span", {}, make("i", { class: kind }), text);
  const samples = { "fill-stream": "stream", "fill-model": "model", "fill-test": "test", "fill-seed": "seed, snapshot, source",
    "fill-run": "run, step", "is-failed": "✕ failed" };
  const said = [`${CRITICAL} and foot of a bar: critical path (thin: waiting, overhead)`, "pale start: compile",
    "thin line: ready, no thread free", "to zoom: drag on the axis, or double-click a row"];
  return [
    div("tools", search, toggle("failed", "Only failed", draw), toggle("critical", `${CRITICAL} Critical path only`, draw),
      toggle("noTests", "Hide tests", draw), button("Whole run", () => zoomTo(undefined), { id: "whole" }),
      make("span", { class: "muted", id: "shown", role: "status" })),
    make("p", { class: "legend" }, Object.entries(samples).map(sample), said.map((text) => make("span", {}, text))),
    make("div", { id: "tree", role: "tree", "aria-label": "Spans of the run", onkeydown: onTreeKey, onclick: (event) => {
      const row = event.target.closest(".row");
      if (!row) return;
      state.cursor = Number(row.dataset.span);
      if (event.target.dataset.twisty) flip(state.cursor); else select(state.cursor);
    }, ondblclick: () => zoomTo([spans[state.cursor].at, end(spans[state.cursor]) + 1]) }),
  ];
}
