// The map: up to 50,000 points on a canvas of our own. The points come once, as packed numbers,
// and the sentences after them; hovering, searching and zooming never ask the server.

const part = (name) => element.querySelector(`[data-part="${name}"]`);
const canvas = part("canvas"), stage = part("stage"), tip = part("tip"), wait = part("wait");
const context = canvas.getContext("2d");
const MAX_HITS = 50, REACH = 10, TOUCH_REACH = 18, CELLS = 96;
const CATEGORIES = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1",
                    "#76b7b2", "#edc948", "#ff9da7", "#9c755f", "#8c8c8c"];
const SCALE = [[59, 99, 214], [43, 160, 178], [88, 178, 108], [226, 176, 52], [226, 88, 62]];

let map = null, texts = null, colors = null, matches = null;
let view = { x: 0, y: 0, scale: 1 }, fit = 1, picks = "a", hovered = -1, isQueued = false;
let marks = {};

// Loading

function unpack(text, Type) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Type(bytes.buffer);
}

async function load() {
  let reply;
  try {
    reply = await server.points();
  } catch (error) {
    reply = { ready: false, what: "the explorer does not answer; is it still running?" };
  }
  if (!reply.ready) {
    const share = reply.share ? ` (${Math.round(100 * reply.share)} %)` : "";
    wait.textContent = reply.failed ? `There is no map: ${reply.what}` : `Making the map: ${reply.what}${share}`;
    if (!reply.failed) setTimeout(load, 1000);
    return;
  }
  const x = unpack(reply.x, Float32Array), y = unpack(reply.y, Float32Array);
  map = { n: x.length, x, y, colors: reply.colors };
  for (const color of map.colors) color.values = unpack(color.packed, Uint8Array);
  buildGrid();
  offerColors();
  wait.hidden = true;
  resize();
  showWhole();
  try {
    texts = await server.sentences();
  } catch (error) {
    wait.hidden = false;
    wait.textContent = "The sentences could not be loaded; reload the page.";
  }
  search();
}

function offerColors() {
  const select = part("color");
  select.replaceChildren(...map.colors.map((color, number) => new Option(color.name, number)));
  select.onchange = chooseColor;
  chooseColor();
}

function chooseColor() {
  const color = map.colors[Number(part("color").value) || 0];
  const legend = part("legend");
  legend.replaceChildren();
  if (color.names) {
    colors = color.names.map((_, number) => CATEGORIES[number % CATEGORIES.length]);
    color.names.forEach((name, number) => {
      const item = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.style.background = colors[number];
      item.append(swatch, name);
      legend.append(item);
    });
  } else {
    colors = Array.from({ length: 32 }, (_, step) => mix(step / 31));
    const bar = document.createElement("i");
    bar.className = "tv-scale";
    bar.style.background = `linear-gradient(to right, ${[0, 8, 16, 24, 31].map((step) => colors[step])})`;
    legend.append(color.low, bar, color.high);
  }
  draw();
}

function mix(share) {
  const place = share * (SCALE.length - 1), left = Math.min(Math.floor(place), SCALE.length - 2);
  const between = SCALE[left].map((low, channel) =>
    Math.round(low + (place - left) * (SCALE[left + 1][channel] - low)));
  return `rgb(${between})`;
}

// Geometry

function buildGrid() {
  // Points by cell, so that the nearest one is found without looking at all of them.
  const bounds = { left: Infinity, right: -Infinity, low: Infinity, high: -Infinity };
  for (let i = 0; i < map.n; i++) {
    bounds.left = Math.min(bounds.left, map.x[i]); bounds.right = Math.max(bounds.right, map.x[i]);
    bounds.low = Math.min(bounds.low, map.y[i]); bounds.high = Math.max(bounds.high, map.y[i]);
  }
  map.bounds = bounds;
  map.cell = Math.max(bounds.right - bounds.left, bounds.high - bounds.low, 1e-9) / CELLS;
  map.grid = new Map();
  for (let i = 0; i < map.n; i++) {
    const key = cellKey(column(map.x[i]), row(map.y[i]));
    if (!map.grid.has(key)) map.grid.set(key, []);
    map.grid.get(key).push(i);
  }
}

const column = (x) => Math.floor((x - map.bounds.left) / map.cell);
const row = (y) => Math.floor((y - map.bounds.low) / map.cell);
const cellKey = (columnNumber, rowNumber) => columnNumber * 65536 + rowNumber;
const toScreen = (x, y) => [stage.clientWidth / 2 + (x - view.x) * view.scale,
                            stage.clientHeight / 2 - (y - view.y) * view.scale];
const toPlane = (px, py) => [view.x + (px - stage.clientWidth / 2) / view.scale,
                             view.y - (py - stage.clientHeight / 2) / view.scale];

function nearest(px, py, reach) {
  const [x, y] = toPlane(px, py), radius = reach / view.scale;
  let best = -1, least = radius * radius;
  const right = Math.min(column(x + radius), CELLS + 1), top = Math.min(row(y + radius), CELLS + 1);
  for (let c = Math.max(column(x - radius), 0); c <= right; c++) {
    for (let r = Math.max(row(y - radius), 0); r <= top; r++) {
      for (const i of map.grid.get(cellKey(c, r)) || []) {
        const distance = (map.x[i] - x) ** 2 + (map.y[i] - y) ** 2;
        if (distance < least) { least = distance; best = i; }
      }
    }
  }
  return best;
}

function showWhole() {
  const { left, right, low, high } = map.bounds;
  fit = 0.94 * Math.min(stage.clientWidth / Math.max(right - left, 1e-9),
                        stage.clientHeight / Math.max(high - low, 1e-9));
  view = { x: (left + right) / 2, y: (low + high) / 2, scale: fit };
  draw();
}

function zoom(factor, px = stage.clientWidth / 2, py = stage.clientHeight / 2) {
  if (!map) return;
  const [x, y] = toPlane(px, py);
  view.scale = Math.min(Math.max(view.scale * factor, fit / 2), fit * 400);
  const [newX, newY] = toPlane(px, py);
  view.x += x - newX;
  view.y += y - newY;
  draw();
}

function resize() {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(stage.clientWidth * ratio);
  canvas.height = Math.round(stage.clientHeight * ratio);
  draw();
}

// Drawing

function draw() {
  if (isQueued || !map) return;
  isQueued = true;
  requestAnimationFrame(() => { isQueued = false; paint(); });
}

function paint() {
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, stage.clientWidth, stage.clientHeight);
  const color = map.colors[Number(part("color").value) || 0];
  const size = Math.min(7, Math.max(1.6, 2.2 * Math.sqrt(view.scale / fit)) * (map.n < 2000 ? 1.7 : 1));
  paintPoints(color, size, matches ? 0.12 : map.n > 5000 ? 0.7 : 0.85, null);
  if (matches) paintPoints(color, size + 2, 1, matches);
  paintPath();
  if (hovered >= 0) ring(...toScreen(map.x[hovered], map.y[hovered]), size / 2 + 4);
  for (const name of ["a", "b"]) if (marks[name]) letter(name.toUpperCase(), marks[name]);
  if (marks.here) cross(marks.here);
}

function paintPoints(color, size, opacity, only) {
  // One pass per color: changing the fill style is what costs time.
  context.globalAlpha = opacity;
  const buckets = colors.map(() => []);
  const width = stage.clientWidth, height = stage.clientHeight;
  const scaleX = view.scale, originX = width / 2 - view.x * scaleX, originY = height / 2 + view.y * scaleX;
  const steps = color.names ? 1 : 255 / (colors.length - 1);
  const count = only ? only.length : map.n;
  for (let k = 0; k < count; k++) {
    const i = only ? only[k] : k;
    const px = originX + map.x[i] * scaleX, py = originY - map.y[i] * scaleX;
    if (px < -9 || py < -9 || px > width + 9 || py > height + 9) continue;
    const bucket = color.names ? color.values[i] : Math.round(color.values[i] / steps);
    buckets[bucket % colors.length].push(px, py);
  }
  const round = size > 3.5;
  buckets.forEach((bucket, number) => {
    context.fillStyle = colors[number];
    if (round) context.beginPath();
    for (let k = 0; k < bucket.length; k += 2) {
      if (!round) context.fillRect(bucket[k] - size / 2, bucket[k + 1] - size / 2, size, size);
      else {
        context.moveTo(bucket[k] + size / 2, bucket[k + 1]);
        context.arc(bucket[k], bucket[k + 1], size / 2, 0, 7);
      }
    }
    if (round) context.fill();
  });
  context.globalAlpha = 1;
}

const ink = () => getComputedStyle(element).color;

function ring(px, py, radius) {
  context.strokeStyle = ink();
  context.lineWidth = 2;
  context.beginPath();
  context.arc(px, py, radius, 0, 7);
  context.stroke();
}

function letter(name, place) {
  const [px, py] = toScreen(place.x, place.y);
  context.fillStyle = "#c2410c";
  context.strokeStyle = "#ffffff";
  context.lineWidth = 2;
  context.beginPath();
  context.arc(px, py, 11, 0, 7);
  context.fill();
  context.stroke();
  context.fillStyle = "#ffffff";
  context.font = "bold 13px sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(name, px, py + 1);
}

function cross(place) {
  const [px, py] = toScreen(place.x, place.y);
  for (const [style, width] of [["#ffffff", 5], ["#c2410c", 2.5]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(px - 8, py); context.lineTo(px + 8, py);
    context.moveTo(px, py - 8); context.lineTo(px, py + 8);
    context.stroke();
  }
}

function paintPath() {
  if (!marks.path || marks.path.length < 2) return;
  context.strokeStyle = "#c2410c";
  context.lineWidth = 2;
  context.beginPath();
  marks.path.forEach((place, step) => context[step ? "lineTo" : "moveTo"](...toScreen(...place)));
  context.stroke();
}

// Choosing

function setPicks(name) {
  picks = name;
  part("pick-a").setAttribute("aria-pressed", String(name === "a"));
  part("pick-b").setAttribute("aria-pressed", String(name === "b"));
}

function pick(i, name = picks) {
  if (!texts) return;
  marks[name] = { x: map.x[i], y: map.y[i] };
  delete marks.path;
  trigger("pick", { index: i, name, text: texts[i] });
  setPicks(name === "a" ? "b" : "a");
  draw();
}

function choosePlace(px, py) {
  const [x, y] = toPlane(px, py);
  marks.here = { x, y };
  trigger("place", { x, y });
  draw();
}

function describe(i) {
  const facts = map.colors.map((color) => color.names
    ? `${color.name}: ${color.names[color.values[i]]}` : null).filter(Boolean);
  return facts.join(" · ");
}

function hover(px, py, reach) {
  const found = map ? nearest(px, py, reach) : -1;
  if (found !== hovered) { hovered = found; draw(); }
  tip.hidden = found < 0 || !texts;
  canvas.style.cursor = found < 0 ? "crosshair" : "pointer";
  if (tip.hidden) return;
  const facts = document.createElement("small");
  facts.textContent = describe(found);
  tip.replaceChildren(texts[found], facts);
  const left = Math.min(Math.max(px + 14, 4), stage.clientWidth - tip.offsetWidth - 4);
  const below = py + 16 + tip.offsetHeight < stage.clientHeight;
  tip.style.left = `${Math.max(left, 4)}px`;
  tip.style.top = `${below ? py + 16 : Math.max(py - 12 - tip.offsetHeight, 4)}px`;
}

// Pointer and keyboard

const pointers = new Map();
let moved = 0, spread = 0;

const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  moved = 0;
  spread = 0;
});

canvas.addEventListener("pointermove", (event) => {
  if (!map) return;
  const [px, py] = at(event);
  const before = pointers.get(event.pointerId);
  if (!before) { hover(px, py, REACH); return; }
  pointers.set(event.pointerId, [px, py]);
  if (pointers.size === 1) {
    moved += Math.hypot(px - before[0], py - before[1]);
    if (moved > 4) {
      view.x -= (px - before[0]) / view.scale;
      view.y += (py - before[1]) / view.scale;
      tip.hidden = true;
      draw();
    }
  } else {
    const [one, two] = [...pointers.values()];
    const distance = Math.hypot(one[0] - two[0], one[1] - two[1]);
    if (spread) zoom(distance / spread, (one[0] + two[0]) / 2, (one[1] + two[1]) / 2);
    spread = distance;
    moved = 99;
  }
});

canvas.addEventListener("pointerup", (event) => {
  const wasOne = pointers.size === 1;
  pointers.delete(event.pointerId);
  if (!map || !wasOne || moved > 4) return;
  const [px, py] = at(event), reach = event.pointerType === "touch" ? TOUCH_REACH : REACH;
  const found = nearest(px, py, reach);
  hover(px, py, reach);
  if (found >= 0) pick(found, event.shiftKey ? "b" : picks);
  else choosePlace(px, py);
});

canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
canvas.addEventListener("pointerleave", () => { tip.hidden = true; hovered = -1; draw(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 400), ...at(event));
}, { passive: false });

canvas.addEventListener("keydown", (event) => {
  if (!map) return;
  const step = 40 / view.scale;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  if (event.key in moves) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; draw(); }
  else if (event.key === "+" || event.key === "=") zoom(1.4);
  else if (event.key === "-") zoom(1 / 1.4);
  else if (event.key === "Enter") choosePlace(stage.clientWidth / 2, stage.clientHeight / 2);
  else return;
  event.preventDefault();
});

part("zoom-in").onclick = () => zoom(1.6);
part("zoom-out").onclick = () => zoom(1 / 1.6);
part("zoom-reset").onclick = () => map && showWhole();
part("pick-a").onclick = () => setPicks("a");
part("pick-b").onclick = () => setPicks("b");

// Search

let timer = 0;
part("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 150); });

function search() {
  if (!texts) return;
  const query = part("search").value.trim().toLowerCase();
  const found = part("found"), hits = part("hits");
  hits.replaceChildren();
  matches = null;
  found.textContent = query ? "" : `${map.n.toLocaleString("en")} sentences`;
  if (query) {
    matches = [];
    for (let i = 0; i < map.n; i++) if (texts[i].toLowerCase().includes(query)) matches.push(i);
    const more = matches.length > MAX_HITS ? `; the first ${MAX_HITS} are listed` : "";
    found.textContent = `${matches.length.toLocaleString("en")} of ${map.n.toLocaleString("en")} sentences contain it${more}`;
    hits.append(...matches.slice(0, MAX_HITS).map(listHit));
  }
  draw();
}

function listHit(i) {
  const item = document.createElement("li"), text = document.createElement("span");
  text.textContent = texts[i];
  const buttons = ["a", "b"].map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name.toUpperCase();
    button.setAttribute("aria-label", `Use as ${name.toUpperCase()}: ${texts[i]}`);
    button.onclick = () => pick(i, name);
    return button;
  });
  item.onmouseenter = () => { hovered = i; draw(); };
  item.append(text, ...buttons);
  return item;
}

// What the other panels put on the map

function readMarks() {
  try {
    marks = { ...marks, ...JSON.parse(props.value || "{}") };
  } catch (error) {
    marks = {};
  }
  draw();
}

watch("value", readMarks);
new ResizeObserver(resize).observe(stage);
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
load();
