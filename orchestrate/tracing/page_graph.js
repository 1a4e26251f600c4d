"use strict";
/* The view of links: streams, sources and nodes in layers, left to right, tests folded into nodes. */
const NODE_HEIGHT = 26;
const GAP = 10;
const BETWEEN = 70;
const MOST_PASSED = 30000; // places that take seconds to find
const HOTTEST = 0.28; // share of the tint in the node that took longest: text on it stays readable
let reveal = () => {}; // brings the node of a span into sight

/* Places for all nodes: longest paths give the layers, barycentres the order and the heights. */
function layOut(nodes, edges) {
  const above = nodes.map(() => []);
  edges.forEach(([from, to]) => above[to].push(from));
  const layer = [];
  const depth = (i) => {
    if (layer[i] === undefined) {
      layer[i] = 0;
      const least = { stream: 0, source: 1 }[nodes[i].type] ?? (nodes[i].type === "seed" ? 1 : 2);
      layer[i] = Math.max(least, ...above[i].map((before) => depth(before) + 1));
    }
    return layer[i];
  };
  nodes.forEach((_, i) => depth(i));
  const used = [...new Set(layer)].sort((a, b) => a - b);
  const columns = used.map(() => []);
  const add = (column, node) => {
    const item = { node, near: [], column, height: node === undefined ? 4 : NODE_HEIGHT };
    columns[column].push(item);
    return item;
  };
  const items = nodes.map((_, i) => add(used.indexOf(layer[i]), i));
  // A long edge passes each column between at a place of its own; of too many, none does.
  const passed = edges.reduce((sum, [from, to]) => sum + items[to].column - items[from].column - 1, 0);
  const routes = edges.map(([from, to]) => {
    const route = [items[from]];
    const last = passed > MOST_PASSED ? 0 : items[to].column;
    for (let column = items[from].column + 1; column < last; column += 1) route.push(add(column));
    route.push(items[to]);
    route.slice(1).forEach((item, k) => { item.near.push(route[k]); route[k].near.push(item); });
    return route;
  });
  columns.forEach((column) => column.forEach((item, k) => { item.y = k * 20; }));
  const centre = (item, side) => {
    const near = item.near.filter((other) => !side || Math.sign(other.column - item.column) === side);
    return near.length ? near.reduce((sum, other) => sum + other.y, 0) / near.length : item.y;
  };
  for (let sweep = 0; sweep < 12; sweep += 1) {
    const side = sweep % 2 ? 1 : -1;
    (side < 0 ? columns : [...columns].reverse()).forEach((column) => {
      column.forEach((item) => { item.wish = centre(item, side); });
      column.sort((a, b) => a.wish - b.wish).forEach((item, k) => { item.y = k * 20; });
    });
  }
  columns.forEach((column) => spread(column, (_, k) => k * (NODE_HEIGHT + GAP)));
  for (let sweep = 0; sweep < 16; sweep += 1) columns.forEach((column) => spread(column, (item) => centre(item)));
  const top = Math.min(...columns.flat().map((item) => item.y - item.height / 2));
  columns.flat().forEach((item) => { item.y -= top; });
  return { items, routes, columns };
}
/* As near to what each wishes as the order and the room between allow: the mean of both extremes. */
function spread(column, wish) {
  const wishes = column.map(wish);
  const isPassing = (k) => column[k].node === undefined;
  const room = (k) => (column[k].height + column[k - 1].height) / 2 + (isPassing(k) && isPassing(k - 1) ? 2 : GAP);
  const down = [...wishes];
  const up = [...wishes];
  for (let k = 1; k < column.length; k += 1) down[k] = Math.max(down[k], down[k - 1] + room(k));
  for (let k = column.length - 2; k >= 0; k -= 1) up[k] = Math.min(up[k], up[k + 1] - room(k + 1));
  column.forEach((item, k) => { item.y = (down[k] + up[k]) / 2; });
}
function testsOf(node) {
  const tests = (node.tests ?? []).map((i) => spans[i]);
  const broken = tests.filter((test) => BROKEN.has(test.state)).length;
  const warned = tests.filter((test) => test.state === "warned").length;
  if (!tests.length) return undefined;
  if (broken) return { state: "failed", text: `✕ ${broken}/${tests.length}` };
  if (warned) return { state: "warned", text: `! ${warned}/${tests.length}` };
  return { state: "ok", text: `✓ ${tests.filter((test) => test.state === "ok").length}/${tests.length}` };
}
/* The edges that begin (0) or end (1) at each node. */
function edgesOf(nodes, edges, side) {
  const found = nodes.map(() => []);
  edges.forEach((edge, e) => found[edge[side]].push(e));
  return found;
}
/* Steps of the critical path that are edges here: from one node on it to the next, past sources. */
function criticalEdges(nodes, edges) {
  const places = new Map(nodes.map((node, i) => [node.span, i]));
  const onIt = data.path.filter((part) => !part.wait && places.has(part.span)).map((part) => places.get(part.span));
  const found = new Set();
  const into = edgesOf(nodes, edges, 1);
  onIt.slice(1).forEach((to, k) => into[to].forEach((e) => {
    const [from] = edges[e];
    if (from === onIt[k]) found.add(e);
    if (nodes[from].type === "source") into[from].forEach((f) => edges[f][0] === onIt[k] && found.add(e).add(f));
  }));
  return found;
}
function drawGraph(view) {
  const { nodes, edges } = data.graph;
  if (!nodes.length) return [empty("No stream and no dbt node in this run.")];
  const { items, routes, columns } = layOut(nodes, edges);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const longest = Math.max(1, ...nodes.map((node) => spans[node.span]?.for ?? 0));
  const took = (node) => (spans[node.span]?.for ? seconds(spans[node.span].for) : node.age ?? "");
  const right = (node) => [testsOf(node)?.text, took(node)].filter(Boolean).join("   ");
  const wish = (node) => (node === undefined ? 0 : pen.measureText(`${nodes[node].name}${right(nodes[node])}`).width + 56);
  const widths = columns.map((column) => Math.max(60, ...column.map((item) => wish(item.node))));
  const starts = widths.map((_, k) => 12 + widths.slice(0, k).reduce((sum, width) => sum + width + BETWEEN, 0));
  const width = starts.at(-1) + widths.at(-1) + 12;
  const height = Math.max(...items.map((item) => item.y)) + NODE_HEIGHT + 50;
  const top = 34;

  const fed = new Set(edges.filter(([from]) => nodes[from].type === "stream").map(([, to]) => to));
  const critical = criticalEdges(nodes, edges);
  const curve = (route) => route.slice(1).map((item, k) => {
    const [x1, y1] = [starts[route[k].column] + widths[route[k].column], route[k].y + top];
    const [x2, y2] = [starts[item.column], item.y + top];
    const through = item.node === undefined ? ` L ${x2 + widths[item.column]} ${y2}` : "";
    return `${k ? "" : `M ${x1} ${y1}`} C ${x1 + BETWEEN / 2} ${y1} ${x2 - BETWEEN / 2} ${y2} ${x2} ${y2}${through}`;
  }).join("");
  const lines = routes.map((route, e) => make("svg:path", { class: `edge ${critical.has(e) ? "on-path" : ""}`, d: curve(route) }));
  const boxes = nodes.map((node, i) => {
    const span = spans[node.span];
    const [x, y, w] = [starts[items[i].column], items[i].y + top - NODE_HEIGHT / 2, widths[items[i].column]];
    const tests = testsOf(node);
    const share = (span?.for ?? 0) / longest;
    const text = (place, value, anchor, kind) => make("svg:text", { x: x + place, y: y + 16, "text-anchor": anchor, class: kind }, value);
    const timeText = took(node);
    const kinds = ["node", `state-${span?.state}`, !span && !fed.has(i) && "absent", onPath.has(node.span) && "on-path"];
    const box = { x, y, width: w, height: NODE_HEIGHT, rx: 4 };
    const foot = { x, y: y + NODE_HEIGHT - 3, width: Math.max(share ? 2 : 0, w * share).toFixed(1) };
    return make("svg:g", { class: kinds.filter(Boolean).join(" "), "data-node": i, "data-span": node.span, role: "button",
      tabindex: span ? 0 : -1, "aria-label": `${node.name}, ${span?.word ?? "not in this run"}` },
      make("svg:rect", { class: "box", ...box }),
      make("svg:rect", { class: "heat", ...box, "fill-opacity": (HOTTEST * Math.sqrt(share)).toFixed(3) }),
      make("svg:rect", { class: `time time-${node.type}`, ...foot }),
      text(8, span ? SYMBOLS[span.state] : "", "start", `sign-${span?.state}`),
      text(22, node.name, "start"),
      tests && text(w - 8 - (timeText ? pen.measureText(timeText).width + 8 : 0), tests.text, "end", `sign-${tests.state}`),
      text(w - 8, timeText, "end"));
  });
  const heads = columns.map((column, k) => {
    const types = new Set(column.filter((item) => item.node !== undefined).map((item) => nodes[item.node].type));
    return make("svg:text", { class: "column", x: starts[k], y: 14 }, [...types].map((type) => `${type.replace("_", " ").replace(/y$/, "ie")}s`).join(", "));
  });
  const picture = make("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "group",
    "aria-label": "Links between streams, sources and nodes" }, heads, lines, boxes);
  const canvas = make("div", { class: "canvas", tabindex: 0, "aria-label": "Drag to move, Ctrl and wheel to zoom" }, picture);
  let zoom = 1;
  const centreOn = (x, y) => canvas.scrollTo(x * zoom - canvas.clientWidth / 2, y * zoom - canvas.clientHeight / 2);
  const setZoom = (value) => {
    const x = (canvas.scrollLeft + canvas.clientWidth / 2) / zoom;
    const y = (canvas.scrollTop + canvas.clientHeight / 2) / zoom;
    zoom = Math.min(3, Math.max(0.15, value));
    picture.setAttribute("width", width * zoom);
    picture.setAttribute("height", height * zoom);
    centreOn(x, y);
  };
  const fit = () => Math.min((view.clientWidth - 52) / width, Math.max(300, innerHeight * 0.74) / height);
  reveal = (span) => {
    const item = items[nodes.findIndex((node) => node.span !== undefined && node.span === span)];
    if (item) centreOn(starts[item.column] + widths[item.column] / 2, item.y + top);
  };
  setZoom(Math.min(1, Math.max(0.8, fit())));
  const broken = nodes.find((node) => BROKEN.has(spans[node.span]?.state) || testsOf(node)?.state === "failed");
  requestAnimationFrame(() => reveal(state.span ?? broken?.span ?? nodes[0].span));
  lightKin(picture, boxes, lines, edges);
  move(canvas, (factor) => setZoom(zoom * factor));
  const pick = (target) => {
    const span = target.closest(".node")?.dataset.span;
    if (span !== undefined && !canvas.dataset.moved) select(Number(span));
  };
  picture.addEventListener("click", (event) => pick(event.target));
  picture.addEventListener("keydown", (event) => event.key === "Enter" && pick(event.target));
  const said = ["drag to move, Ctrl and wheel to zoom", "foot and tint: its time against the longest", "✓ 3/3: tests passed",
    "thick: critical path", "dashed: not loaded in this run"];
  return [
    div("tools", button("−", () => setZoom(zoom / 1.25), { "aria-label": "Zoom out" }),
      button("+", () => setZoom(zoom * 1.25), { "aria-label": "Zoom in" }), button("Whole picture", () => setZoom(fit())),
      muted(`${nodes.length} nodes, ${edges.length} links`)),
    make("p", { class: "legend" }, said.map((text) => make("span", {}, text))),
    canvas,
  ];
}
/* Hover or focus shows all that a node comes from and all that comes from it. */
function lightKin(picture, boxes, lines, edges) {
  const near = [edgesOf(boxes, edges, 0), edgesOf(boxes, edges, 1)];
  const light = (event) => {
    const box = event.target.closest(".node");
    picture.classList.toggle("tracing", Boolean(box));
    if (!box) return;
    [...boxes, ...lines].forEach((part) => part.classList.remove("lit"));
    [0, 1].forEach((side) => {
      const reached = new Set([Number(box.dataset.node)]);
      reached.forEach((node) => near[side][node].forEach((e) => {
        lines[e].classList.add("lit");
        reached.add(edges[e][1 - side]);
      }));
      reached.forEach((node) => boxes[node].classList.add("lit"));
    });
  };
  picture.addEventListener("pointerover", light);
  picture.addEventListener("focusin", light);
  picture.addEventListener("pointerleave", light);
}
function move(canvas, zoomBy) {
  let from;
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    delete canvas.dataset.moved;
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    const [x, y] = [event.clientX, event.clientY];
    from = { x, y, left: canvas.scrollLeft, top: canvas.scrollTop };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = [event.clientX - from.x, event.clientY - from.y];
    if (Math.hypot(x, y) > 4) canvas.dataset.moved = "1";
    canvas.classList.add("dragging");
    canvas.scrollTo(from.left - x, from.top - y);
  });
  for (const kind of ["pointerup", "pointerleave"]) {
    canvas.addEventListener(kind, () => {
      from = undefined;
      canvas.classList.remove("dragging");
    });
  }
}
