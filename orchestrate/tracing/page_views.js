"use strict";
/* Threads: who worked when; hatched is idle. */
const laneName = (lane) => (lane === 1 ? "streams" : `streams beside, ${lane}`);
function laneGroups() {
  const groups = [];
  spans.forEach((span, i) => {
    const inner = children[i].filter((child) => spans[child].for && !LEFT.has(spans[child].state));
    const lanes = new Map();
    const put = (name, child) => lanes.set(name, [...(lanes.get(name) ?? []), child]);
    if (span.kind === "dbt") inner.filter((child) => spans[child].kind === "node").forEach((child) => put(spans[child].thread ?? "no thread told", child));
    if (span.kind === "step") {
      inner.filter((child) => spans[child].kind === "stream").forEach((child) => {
        const busy = (other) => end(spans[other]) > spans[child].at + 1000;
        let lane = 1;
        while ((lanes.get(laneName(lane)) ?? []).some(busy)) lane += 1;
        put(laneName(lane), child);
      });
    }
    const sorted = [...lanes].sort((a, b) => a[0].localeCompare(b[0], "en", { numeric: true }));
    if (lanes.size) groups.push({ span, lanes: sorted });
  });
  return groups;
}
function threads(view) {
  const [low, high] = range();
  const groups = laneGroups().filter(({ span }) => span.at < high && end(span) > low);
  if (!groups.length) return [empty("No stream and no dbt node was at work in this time.")];
  const width = Math.max(200, view.clientWidth - (isNarrow() ? 24 : 210));
  const said = state.zoom ? "Zoomed as the waterfall is." : "Each block has its own time axis. Hatched: idle.";
  return [
    div("tools", said, state.zoom && button("Whole run", () => zoomTo(undefined))),
    ...groups.map(({ span, lanes }) => {
      const [from, to] = state.zoom ?? [span.at, Math.max(end(span), span.at + 1)];
      const rows = lanes.map(([name, inner]) => lane(name, inner, from, to, width));
      return make("section", { class: "lanes" }, make("h3", {}, span.name), div("lane", scale(from, to, width)), rows);
    }),
  ];
}
function lane(name, inner, from, to, width) {
  const shown = inner.filter((i) => end(spans[i]) > from && spans[i].at < to);
  const edges = (i) => [Math.max(from, spans[i].at), Math.min(to, end(spans[i]))];
  const busy = shown.reduce((sum, i) => sum + edges(i)[1] - edges(i)[0], 0);
  const bar = (i) => {
    const [a, b] = edges(i).map((at) => (at - from) / (to - from));
    const text = `${SYMBOLS[spans[i].state]} ${spans[i].name}`;
    const fits = text.length * 7 + 10 < (b - a) * width;
    return button(fits ? text : "", () => select(i), {
      class: `bar ${fill(spans[i])} ${onPath.has(i) ? "on-path" : ""}`, "data-span": i,
      "aria-label": spans[i].name, style: { left: percent(a), width: percent(b - a) },
    });
  };
  const share = `${Math.round((100 * busy) / (to - from))} % busy, ${inner.length} done`;
  return div("lane", div("about", name, make("br"), muted(share)), div("track", shown.map(bar)));
}

/* Critical path */
function path() {
  if (!data.path.length) return [empty("No critical path: the ledger holds no span of this run.")];
  const total = data.path.reduce((sum, part) => sum + part.for, 0) || 1;
  const most = Math.max(...data.path.map((part) => part.for));
  const share = (us) => `${((100 * us) / total).toFixed(1)} %`;
  const isShort = (part) => part.for < total * SHORT;
  const color = (part) => (part.wait ? "wait" : fill(spans[part.span]));
  const kinds = new Map();
  data.path.forEach((part) => {
    const kind = part.wait ?? spans[part.span].type ?? spans[part.span].kind;
    kinds.set(kind, (kinds.get(kind) ?? 0) + part.for);
  });
  const sums = [...kinds].sort((a, b) => b[1] - a[1]);
  const row = ({ title, at, us, style, what }) => make("tr", {}, cell("number muted", title),
    cell("number muted", seconds(at)), cell("number", (us / 1e6).toFixed(3)), cell("number", share(us)),
    cell("", make("span", { class: `share ${style}`, style: { width: `${(90 * us) / most}px` } })), cell("", what));
  const body = make("tbody");
  const draw = () => {
    const rows = [];
    const one = (k) => {
      const part = data.path[k];
      rows.push({ title: String(k + 1), at: part.at, us: part.for, style: color(part), what: told(part, data.path[k + 1]) });
    };
    let short = []; // those that follow each other are one row
    const close = () => {
      const parts = short.map((k) => data.path[k]);
      const us = parts.reduce((sum, part) => sum + part.for, 0);
      const own = parts.filter((part) => part.wait !== "overhead"); // that would name what contains them
      const named = own.length ? own : parts;
      const ends = [spanLink(named[0]?.span ?? 0), " to ", spanLink(named.at(-1)?.span ?? 0)];
      const what = [`${parts.length} short ones, from `, ...ends];
      if (parts.length > 1) rows.push({ title: "…", at: parts[0].at, us, style: "wait", what });
      else short.filter((k) => data.path[k].for > (total * SHORT) / 10).forEach(one);
      short = [];
    };
    data.path.forEach((part, k) => {
      if (isShort(part) && !state.every) return short.push(k);
      close();
      return one(k);
    });
    close();
    if (state.longest) rows.sort((a, b) => b.us - a.us);
    body.replaceChildren(...rows.map(row));
  };
  draw();
  const heads = ["#", "From", "Seconds", "Share", "", "What"].map((text, i) => ({ text, kind: i < 4 ? "number" : undefined }));
  return [
    make("p", {}, `These ${data.path.length} stretches follow each other without a gap, ${seconds(total)} in all: `
      + "the run ends earlier only if one of them is shorter."),
    make("ul", { class: "numbers" }, sums.map(([kind, us]) =>
      make("li", {}, make("b", {}, seconds(us)), ` ${kind} `, muted(share(us))))),
    make("div", { class: "shares", "aria-hidden": "true" }, data.path.map((part) =>
      make("span", { class: `${color(part)} ${isShort(part) ? "" : "apart"}`, "data-span": part.span, style: { "flex-grow": part.for, "flex-basis": "0" } }))),
    div("tools", toggle("longest", "Longest first", draw), data.path.some(isShort) && toggle("every", "Short ones too", draw)),
    table("path", heads, body),
  ];
}
function told(part, next) {
  if (!part.wait) return spanLink(part.span);
  if (part.wait !== "overhead") return [make("i", {}, `${part.wait}, by `), spanLink(part.span)];
  const place = next && isInside(next.span, part.span) ? [", before ", spanLink(next.span)] : ", at its end";
  return [make("i", {}, "overhead of "), spanLink(part.span), place];
}
function isInside(i, above) {
  return i !== undefined && (spans[i].up === above || isInside(spans[i].up, above));
}

/* Logs */
function logs() {
  const body = make("tbody");
  const count = make("span", { class: "muted", role: "status" });
  const rank = (level) => ({ debug: 0, info: 1, warning: 2, warn: 2 })[level.toLowerCase()] ?? 3;
  const row = ([at, level, source, text]) => make("tr", {}, cell("mono muted", clock(at), " "),
    cell(["muted", "", "warned", "failed"][rank(level)], level, " "), cell("muted", source, " "), cell("", text));
  const draw = () => {
    const wanted = words.value.toLowerCase();
    const fits = ([, level, source, text]) =>
      rank(level) >= LEVELS.indexOf(state.level) && `${source} ${text}`.toLowerCase().includes(wanted);
    const found = data.logs.filter(fits);
    body.replaceChildren(...found.map(row));
    count.textContent = `${found.length} of ${data.logs.length} lines`;
    if (!found.length) count.textContent = data.logs.length ? "No line fits." : "The ledger holds no log line of this run.";
    writeAddress();
  };
  const words = make("input", { type: "search", placeholder: "Search lines", "aria-label": "Search lines", oninput: draw });
  const level = make("select", { "aria-label": "Least level", onchange: () => {
    state.level = level.value;
    draw();
  } }, LEVELS.map((name) => make("option", { value: name, selected: name === state.level ? "" : undefined },
    name === LEVELS.at(-1) ? name : `${name} and above`)));
  draw();
  return [div("tools", words, level, count), table("logs", ["UTC", "Level", "Source", "Line"].map((text) => ({ text })), body)];
}
