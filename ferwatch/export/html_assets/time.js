// The current time, shared by the video, the playhead, the readouts and the table.

const video = find("video");
const lanes = find("#lanes");
const ruler = find("#ruler");
const tooltip = find("#tooltip");
const view = { ...span };
const visible = new Set(emotions.keys()); // the emotions that the legend shows
const labels = [...emotions, "uncertain"];
let showsUncertain = true;
let focus = null; // the emotion under the pointer in the legend
let now = span.start;
let seekTo = null; // time to seek to once the current seek has ended; null: none

/** Times in frames.csv are rounded to a millisecond; one more makes sure that the frame itself is shown, not the one before it. */
const videoTime = (time) => Math.max(0, time - run.videoStart) + 0.001;

function seek(time) {
  now = clamp(time, span.start, span.end);
  if (video) {
    seekTo = now;
    showPicture();
  }
  if (now < view.start || now > view.end) centreView(now);
  showTime();
  announce();
  linkHere();
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

/** Whether the legend shows episodes of this name. */
const isVisible = (emotion) => (emotion === "uncertain" ? showsUncertain : visible.has(emotions.indexOf(emotion)));

/** Goes to the next or previous start of an episode: of the emotion chosen beside the buttons, or of any that the legend shows. */
function stepEpisode(direction) {
  const wanted = find("#wanted").value;
  const fits = (episode) => (wanted ? episode.emotion === wanted : isVisible(episode.emotion));
  const starts = faces.filter((f) => !f.hidden).flatMap((f) => f.episodes.filter(fits).map((e) => e.start)).sort((a, b) => a - b);
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
  if (!video.seeking && seekTo === null) now = clamp(video.currentTime + run.videoStart, span.start, span.end);
  if (now > view.end || now < view.start) moveView(now - view.start);
  showTime();
  requestAnimationFrame(follow);
}

const share = (time) => (time - view.start) / (view.end - view.start);

function showTime() {
  const place = share(now);
  lanes.style.setProperty("--playhead", `${place * 100}%`);
  lanes.classList.toggle("playhead-outside", place < 0 || place > 1);
  find("#now").textContent = find("#note-time").textContent = clockTime(now, 3);
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

/** Sets the slider's text for screen readers; only when the user moves it, not in every frame of playback. */
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

const rows = findAll("#episodes tbody tr[data-start]").map((element) => {
  const [start, end] = [Number(element.dataset.start), Number(element.dataset.end)];
  return { element, start, end, face: Number(element.dataset.face), emotion: element.dataset.of, current: false };
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
  if (!first || first.hidden || list.matches(":hover, :focus-within")) return;
  const head = find("thead", list).offsetHeight;
  if (first.offsetTop < list.scrollTop + head || first.offsetTop + first.offsetHeight > list.scrollTop + list.clientHeight) {
    list.scrollTop = first.offsetTop - head - 4;
  }
}
