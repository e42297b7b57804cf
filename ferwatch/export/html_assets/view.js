// The part of the recording that is visible, shared by all lanes.

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
    inks: run.inks,
    ...{ font: read("--font"), ink: read("--ink"), muted: read("--muted"), line: read("--line"), grid: read("--grid") },
    ...(dark ? { tint: 0.2, uncertain: 0.3, raw: 0.4 } : { tint: 0.13, uncertain: 0.7, raw: 0.4 }),
  };
  drawRuler(find("canvas", ruler), view, theme);
  for (const face of faces) if (!face.hidden) drawLane(face.canvas, face, view, theme, visible, focus);
  const whole = view.end - view.start >= span.end - span.start - 1e-9;
  const overview = find("#overview");
  overview.hidden = whole;
  if (!whole) {
    const shownFaces = faces.filter((f) => !f.hidden);
    drawOverview(find("canvas", overview), shownFaces, span, theme);
    overview.style.setProperty("--from", `${((view.start - span.start) / (span.end - span.start)) * 100}%`);
    overview.style.setProperty("--width", `${((view.end - view.start) / (span.end - span.start)) * 100}%`);
  }
  find("#fit").disabled = find("#zoom-out").disabled = whole;
  showTime();
}
