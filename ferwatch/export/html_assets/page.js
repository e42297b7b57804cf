"use strict";
// The behaviour: one time, shared by the video, the playhead, the readouts and the table; one view, shared by all lanes.

const find = (selector, root = document) => root.querySelector(selector);
const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];
const create = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// ---- The recording -------------------------------------------------------------------------------------------------

const run = JSON.parse(find("#run").textContent);

/** Base64 of little-endian numbers, as page.py wrote them. */
function decode(text, Type) {
  return new Type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

const emotions = run.emotions;
const frames = decode(run.frames, Uint32Array); // of every sampled frame, its number in the video
const times = Float64Array.from(decode(run.times, Int32Array), (ms) => ms / 1000); // and its time in seconds
const span = { start: run.start, end: run.end };
const faces = run.faces.map((face) => {
  const samples = decode(face.samples, Uint32Array); // which of the sampled frames show this face
  return {
    ...face,
    samples,
    times: Float64Array.from(samples, (s) => times[s]),
    values: decode(face.values, Uint16Array), // probabilities in 1/10000, emotion by emotion, as in frames.csv
    smoothed: face.smoothed ? decode(face.smoothed, Uint16Array) : null, // the same after smoothing, if there was any
    hidden: false,
    readout: -2,
  };
});

/** The sampled frame nearest to a time. */
function nearestSample(time) {
  const after = clamp(lowerBound(times, time), 1, times.length - 1);
  return time - times[after - 1] <= times[after] - time ? after - 1 : after;
}

/** Where a sampled frame stands in a face's own series; -1 where that frame does not show it. */
function rowOf(face, sample) {
  const row = lowerBound(face.samples, sample);
  return face.samples[row] === sample ? row : -1;
}

const valuesOf = (face, row) => face.values.subarray(row * emotions.length, (row + 1) * emotions.length);
const topOf = (values) => values.indexOf(Math.max(...values));
const percent = (value) => `${Math.round(value / 100)}%`;

// ---- State ---------------------------------------------------------------------------------------------------------

const video = find("video");
const lanes = find("#lanes");
const ruler = find("#ruler");
const tooltip = find("#tooltip");
const view = { ...span };
const shown = new Set(emotions.keys());
let focus = null; // the emotion under the pointer in the legend
let now = span.start;
let seekTo = null; // what the video is asked for next, while it still seeks

// ---- Time ----------------------------------------------------------------------------------------------------------

/** Times in frames.csv are rounded to a millisecond; one more makes sure that the frame itself is shown, not its forerunner. */
const videoTime = (time) => time + 0.001;

function seek(time) {
  now = clamp(time, span.start, span.end);
  if (video) {
    seekTo = now;
    showPicture();
  }
  if (now < view.start || now > view.end) centreView(now);
  showTime();
  announce();
}

function showPicture() {
  if (seekTo === null || video.seeking) return;
  video.currentTime = videoTime(seekTo);
  seekTo = null;
}

function stepSample(direction) {
  const here = nearestSample(now);
  const off = times[here] - now;
  seek(times[clamp(off * direction > 0.0005 ? here : here + direction, 0, times.length - 1)]);
}

function stepEpisode(direction) {
  const starts = faces.filter((f) => !f.hidden).flatMap((f) => f.episodes.map((e) => e.start)).sort((a, b) => a - b);
  const next = direction > 0 ? starts.find((s) => s > now + 0.0005) : starts.findLast((s) => s < now - 0.0005);
  if (next !== undefined) seek(next);
}

function togglePlay() {
  if (!video) return;
  if (video.paused) video.play().catch(() => {});
  else video.pause();
}

function follow() {
  if (video.paused) return;
  if (!video.seeking && seekTo === null) now = clamp(video.currentTime, span.start, span.end);
  if (now > view.end || now < view.start) moveView(now - view.start);
  showTime();
  requestAnimationFrame(follow);
}

// ---- What shows the time -------------------------------------------------------------------------------------------

const share = (time) => (time - view.start) / (view.end - view.start);

function showTime() {
  const place = share(now);
  lanes.style.setProperty("--playhead", `${place * 100}%`);
  lanes.classList.toggle("playhead-outside", place < 0 || place > 1);
  find("#now").textContent = clockTime(now, 3);
  find("#overview").style.setProperty("--playhead", `${((now - span.start) / (span.end - span.start)) * 100}%`);
  const sample = nearestSample(now);
  for (const face of faces) if (!face.hidden) showReadout(face, rowOf(face, sample));
  markEpisodes();
}

function showReadout(face, row) {
  if (row === face.readout) return;
  face.readout = row;
  const values = row < 0 ? null : valuesOf(face, row);
  const top = values ? topOf(values) : -1;
  face.element.classList.toggle("absent", !values);
  face.bars.forEach((bar, e) => {
    bar.classList.toggle("top", e === top);
    bar.style.setProperty("--value", values ? values[e] / 10000 : 0);
    find("dd", bar).textContent = values ? percent(values[e]) : "–";
  });
}

/** The slider's words for a screen reader; only where the user moved it, not in every frame of playback. */
function announce() {
  const sample = nearestSample(now);
  const said = faces.filter((f) => !f.hidden).map((face) => {
    const row = rowOf(face, sample);
    if (row < 0) return `${face.name}: no face`;
    const values = valuesOf(face, row);
    return `${face.name}: ${emotions[topOf(values)]} ${percent(Math.max(...values))}`;
  });
  ruler.setAttribute("aria-valuenow", now.toFixed(3));
  ruler.setAttribute("aria-valuetext", [clockTime(now, 1), ...said].join(", "));
}

const rows = findAll("#episodes tbody tr").map((element) => {
  const [start, end] = [Number(element.dataset.start), Number(element.dataset.end)];
  return { element, start, end, face: element.dataset.face, current: false };
});

function markEpisodes() {
  let first = null;
  for (const row of rows) {
    const current = row.start <= now && now < row.end;
    if (current) first ??= row.element;
    if (current === row.current) continue;
    row.current = current;
    row.element.classList.toggle("current", current);
  }
  const list = find("#episodes .scroll");
  if (!first || list.matches(":hover, :focus-within")) return;
  const head = find("thead", list).offsetHeight;
  if (first.offsetTop < list.scrollTop + head || first.offsetTop + first.offsetHeight > list.scrollTop + list.clientHeight) {
    list.scrollTop = first.offsetTop - head - 4;
  }
}

// ---- View ----------------------------------------------------------------------------------------------------------

// The closest view: eight samples, and no less than a fifth of a second.
const shortest = Math.min(span.end - span.start, Math.max(0.2, (8 * (span.end - span.start)) / Math.max(times.length, 1)));

function setView(start, length) {
  const wide = clamp(length, shortest, span.end - span.start);
  view.start = clamp(start, span.start, span.end - wide);
  view.end = view.start + wide;
  redraw();
}

/** Zooms so that the time under `place` (0 left, 1 right) stays where it is. */
function zoom(factor, place) {
  const length = view.end - view.start;
  const wide = clamp(length * factor, shortest, span.end - span.start);
  setView(view.start + place * (length - wide), wide);
}

const moveView = (by) => setView(view.start + by, view.end - view.start);
const centreView = (time) => moveView(time - (view.start + view.end) / 2);
const playheadPlace = () => (now >= view.start && now <= view.end ? share(now) : 0.5);

let queued = false;
function redraw() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(() => {
    queued = false;
    draw();
  });
}

function draw() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  const dark = document.documentElement.dataset.theme === "dark";
  const theme = {
    emotions,
    colors: run.colors,
    ...{ font: read("--font"), muted: read("--muted"), line: read("--line"), grid: read("--grid") },
    ...(dark ? { tint: 0.2, uncertain: 0.3, raw: 0.4 } : { tint: 0.13, uncertain: 0.7, raw: 0.4 }),
  };
  drawRuler(find("canvas", ruler), view, theme);
  for (const face of faces) if (!face.hidden) drawLane(face.canvas, face, view, theme, shown, focus);
  const whole = view.end - view.start >= span.end - span.start - 1e-9;
  const overview = find("#overview");
  overview.hidden = whole;
  if (!whole) {
    const visible = faces.filter((f) => !f.hidden);
    drawOverview(find("canvas", overview), visible, span, theme);
    overview.style.setProperty("--from", `${((view.start - span.start) / (span.end - span.start)) * 100}%`);
    overview.style.setProperty("--width", `${((view.end - view.start) / (span.end - span.start)) * 100}%`);
  }
  find("#fit").disabled = find("#zoom-out").disabled = whole;
  showTime();
}

// ---- Pointer -------------------------------------------------------------------------------------------------------

const placeIn = (element, event) => {
  const box = element.getBoundingClientRect();
  return clamp((event.clientX - box.left) / box.width, 0, 1);
};
const timeAt = (event) => view.start + placeIn(ruler, event) * (view.end - view.start);

function hover(event) {
  const time = timeAt(event);
  const sample = nearestSample(time);
  lanes.style.setProperty("--hover-at", `${placeIn(ruler, event) * 100}%`);
  lanes.classList.add("hovering");
  const face = faces.find((f) => f.element === event.target.closest(".lane"));
  find("strong", tooltip).textContent = face ? face.name : "";
  find("time", tooltip).textContent = `${clockTime(times[sample], 3)} · frame ${frames[sample]}`;
  const row = face ? rowOf(face, sample) : -1;
  tooltip.classList.toggle("no-values", row < 0);
  find("p", tooltip).hidden = !face || row >= 0;
  if (row >= 0) {
    const values = valuesOf(face, row);
    const top = topOf(values);
    findAll("dl > div", tooltip).forEach((line, e) => {
      line.classList.toggle("top", e === top);
      line.style.setProperty("--value", values[e] / 10000);
      find("dd", line).textContent = (values[e] / 10000).toFixed(4);
    });
  }
  tooltip.hidden = false;
  const [area, width] = [lanes.getBoundingClientRect(), tooltip.offsetWidth];
  const right = event.clientX + 18 + width <= area.right;
  const x = (right ? event.clientX + 18 : event.clientX - 18 - width) - area.left;
  tooltip.style.left = `${clamp(x, 0, area.width - width)}px`;
  const y = clamp(event.clientY + 14, 0, window.innerHeight - tooltip.offsetHeight - 8) - area.top;
  tooltip.style.top = `${y}px`;
}

function unhover() {
  lanes.classList.remove("hovering");
  tooltip.hidden = true;
}

const fingers = new Map(); // pointers that are down on a plot, by id
let pinch = null;

function spreadOf() {
  const [a, b] = [...fingers.values()];
  return { apart: Math.max(Math.abs(a.clientX - b.clientX), 12), middle: { clientX: (a.clientX + b.clientX) / 2 } };
}

lanes.addEventListener("pointerdown", (event) => {
  const plot = event.target.closest(".plot");
  if (!plot || event.button !== 0) return;
  plot.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  if (fingers.size === 2) pinch = spreadOf();
  else if (fingers.size === 1) {
    seek(timeAt(event));
    ruler.focus({ preventScroll: true });
  }
});

lanes.addEventListener("pointermove", (event) => {
  if (fingers.has(event.pointerId)) {
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) {
      const next = spreadOf();
      const place = placeIn(ruler, pinch.middle);
      zoom(pinch.apart / next.apart, place);
      moveView((place - placeIn(ruler, next.middle)) * (view.end - view.start));
      pinch = next;
    } else if (fingers.size === 1) seek(timeAt(event));
  }
  if (event.pointerType !== "touch" && event.target.closest(".plot")) hover(event);
  else unhover();
});

for (const type of ["pointerup", "pointercancel"]) {
  lanes.addEventListener(type, (event) => fingers.delete(event.pointerId));
}
lanes.addEventListener("pointerleave", unhover);

lanes.addEventListener(
  "wheel",
  (event) => {
    if (!event.target.closest(".plot")) return;
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(clamp(event.deltaY, -60, 60) / 150), placeIn(ruler, event));
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      moveView(((event.deltaX || event.deltaY) / ruler.clientWidth) * (view.end - view.start));
    } else return;
    event.preventDefault();
  },
  { passive: false },
);

const overview = find("#overview");
for (const type of ["pointerdown", "pointermove"]) {
  overview.addEventListener(type, (event) => {
    if (type === "pointerdown") overview.setPointerCapture(event.pointerId);
    if (event.buttons & 1) centreView(span.start + placeIn(overview, event) * (span.end - span.start));
  });
}

// ---- Keyboard ------------------------------------------------------------------------------------------------------

const keys = {
  " ": togglePlay,
  k: togglePlay,
  ArrowLeft: (event) => (event.shiftKey ? seek(now - 1) : stepSample(-1)),
  ArrowRight: (event) => (event.shiftKey ? seek(now + 1) : stepSample(1)),
  PageUp: () => stepEpisode(-1),
  PageDown: () => stepEpisode(1),
  Home: () => seek(span.start),
  End: () => seek(span.end),
  "+": () => zoom(0.5, playheadPlace()),
  "=": () => zoom(0.5, playheadPlace()),
  "-": () => zoom(2, playheadPlace()),
  0: () => setView(span.start, span.end - span.start),
  Escape: unhover,
};

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select")) return;
  if (event.key === " " && target.matches("button, summary")) return; // they answer to it themselves
  if (target.closest("#episodes") && /^(Page|Home|End)/.test(event.key)) return; // the list scrolls
  const act = keys[event.key];
  if (!act) return;
  act(event);
  event.preventDefault();
});

// ---- Controls ------------------------------------------------------------------------------------------------------

const onClick = (selector, act) => find(selector).addEventListener("click", act);
onClick("#zoom-in", keys["+"]);
onClick("#zoom-out", keys["-"]);
onClick("#fit", keys[0]);
onClick("#previous", () => stepEpisode(-1));
onClick("#next", () => stepEpisode(1));

const light = matchMedia("(prefers-color-scheme: light)");
function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  find("#theme").setAttribute("aria-pressed", dark);
  redraw();
}
onClick("#theme", () => setTheme(document.documentElement.dataset.theme !== "dark"));
light.addEventListener("change", () => setTheme(!light.matches));

findAll("#episodes tbody tr").forEach((row) => {
  row.addEventListener("click", () => seek(Number(row.dataset.start)));
});

function bar(emotion) {
  return create("div", { "data-emotion": emotion }, create("dt", {}, emotion), create("dd"));
}

for (const [number, emotion] of emotions.entries()) {
  const button = create("button", { "aria-pressed": true, "data-emotion": emotion }, create("i", { class: "chip" }), emotion);
  button.addEventListener("click", () => {
    if (!shown.delete(number)) shown.add(number);
    button.setAttribute("aria-pressed", shown.has(number));
    redraw();
  });
  const standOut = (on) => () => {
    focus = on && shown.has(number) ? number : null;
    redraw();
  };
  button.addEventListener("pointerenter", standOut(true));
  button.addEventListener("pointerleave", standOut(false));
  find("#curves").append(button);
}

for (const face of faces) {
  const readout = find("dl", tooltip).cloneNode();
  face.bars = emotions.map(bar);
  readout.append(...face.bars);
  face.canvas = create("canvas", { role: "img", "aria-label": `Curves and episodes of ${face.name}; the table lists the episodes` });
  const plot = create("div", { class: "plot" }, face.canvas, create("i", { class: "hover" }), create("i", { class: "playhead" }));
  const scale = create("div", { class: "scale", "aria-hidden": true }, ...["1", "½", "0"].map((s) => create("span", {}, s)));
  const head = create("div", { class: "head" }, create("h3", { title: face.name }, create("bdi", {}, face.name)), create("p", {}, face.note));
  face.element = create("section", { class: "lane", "aria-label": face.name }, create("div", { class: "readout" }, head, readout), scale, plot);
  find("#lane-list").append(face.element);

  const button = create("button", { "aria-pressed": true }, create("bdi", {}, face.name));
  button.addEventListener("click", () => {
    face.hidden = !face.hidden;
    face.element.hidden = face.hidden;
    button.setAttribute("aria-pressed", !face.hidden);
    for (const row of rows) if (row.face === String(face.id)) row.element.hidden = face.hidden;
    face.readout = -2;
    redraw();
  });
  find("#faces").append(button);
}
find("#faces").hidden = faces.length < 2;
find("dl", tooltip).append(...emotions.map(bar));

// ---- The video -----------------------------------------------------------------------------------------------------

if (video) {
  const play = find("#play");
  const state = () => {
    play.setAttribute("aria-label", video.paused ? "Play" : "Pause");
    play.classList.toggle("playing", !video.paused);
  };
  play.addEventListener("click", togglePlay);
  video.addEventListener("click", togglePlay);
  video.addEventListener("play", () => {
    state();
    requestAnimationFrame(follow);
  });
  video.addEventListener("pause", () => {
    state();
    announce();
  });
  video.addEventListener("seeked", showPicture);
  video.addEventListener("loadedmetadata", () => {
    if (now > 0) seekTo = now;
    showPicture();
  });
  video.addEventListener("error", () => {
    find("#no-video").hidden = false;
    document.body.classList.add("video-missing");
  });
  onClick("#mute", () => {
    video.muted = !video.muted;
    find("#mute").setAttribute("aria-pressed", video.muted);
  });
  onClick("#full", () => (document.fullscreenElement ? document.exitFullscreen() : video.requestFullscreen()));
  find("#speed").addEventListener("change", (event) => {
    video.playbackRate = Number(event.target.value);
  });
}

new ResizeObserver(redraw).observe(lanes);
setTheme(!light.matches);
announce();
draw();
