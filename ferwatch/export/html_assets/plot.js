// Drawing on canvases. Nothing here depends on the video, the pointer or the keyboard.

const BAND = 22; // height of the strip of emotions under the curves, in CSS pixels
const VALENCE = 22; // height of the strip of valence between them
const STANDING = 0.5; // seconds: a picture shown for longer is drawn as a level line
const TICK_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** Seconds as text, [h:]mm:ss with this number of decimals. */
function clockTime(seconds, decimals) {
  const units = 10 ** decimals;
  const total = Math.round(Math.max(seconds, 0) * units);
  const whole = Math.floor(total / units);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const head = h ? `${h}:${String(m).padStart(2, "0")}` : `${m}`;
  const tail = decimals ? `.${String(total % units).padStart(decimals, "0")}` : "";
  return `${head}:${String(s).padStart(2, "0")}${tail}`;
}

/** The first place in a sorted array whose value is not below the one asked for. */
function lowerBound(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Matches the canvas's pixels to its size on the screen and returns a cleared context in CSS pixels. */
function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

/** Round times inside the view, at least so many pixels apart, and the decimals that tell them apart. */
function ticksOf(view, width, apart) {
  const span = view.end - view.start;
  const step = TICK_STEPS.find((s) => (s / span) * width >= apart) ?? TICK_STEPS.at(-1);
  const decimals = step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3;
  const times = [];
  for (let n = Math.ceil(view.start / step - 1e-9); n * step <= view.end + 1e-9; n++) times.push(n * step);
  return { times, decimals };
}

function drawRuler(canvas, view, theme) {
  const { context, width, height } = prepare(canvas);
  const { times, decimals } = ticksOf(view, width, decimalsWidth(view));
  context.font = `12px ${theme.font}`;
  context.textBaseline = "middle";
  for (const time of times) {
    const x = ((time - view.start) / (view.end - view.start)) * width;
    const text = clockTime(time, decimals);
    const half = context.measureText(text).width / 2;
    context.fillStyle = theme.muted;
    context.fillText(text, Math.min(Math.max(x - half, 0), width - 2 * half), 11);
    context.fillStyle = theme.line;
    context.fillRect(Math.round(x), height - 5, 1, 5);
  }
}

function decimalsWidth(view) {
  return view.end > 3600 || view.end - view.start < 1 ? 84 : 64;
}

/**
 * One face's lane: its episodes as a tint behind the curves and as a labelled band below them, and a curve per emotion.
 * Close up, the raw curves show faintly under the smoothed ones. `visible` holds the numbers of the emotions whose curves are on, `focus` the one that stands out, or null.
 */
function drawLane(canvas, face, view, theme, visible, focus) {
  const { context, width, height } = prepare(canvas);
  const [top, bottom] = [5, height - BAND - VALENCE - 8];
  const scale = width / (view.end - view.start);
  const x = (time) => (time - view.start) * scale;
  const y = (value) => bottom - value * (bottom - top);

  context.fillStyle = theme.grid;
  for (const time of ticksOf(view, width, decimalsWidth(view)).times) context.fillRect(Math.round(x(time)), 0, 1, height - BAND - 3);
  for (const value of [0, 0.5, 1]) context.fillRect(0, Math.round(y(value)), width, 1);

  for (const episode of face.episodes) {
    if (episode.end < view.start || episode.start > view.end) continue;
    const dimmed = focus !== null && theme.emotions[focus] !== episode.emotion;
    drawEpisode(context, episode, x, bottom, height, width, theme, dimmed);
  }

  // One sample more on either side, so that a curve runs on to the border.
  const from = Math.max(lowerBound(face.times, view.start) - 1, 0);
  const to = Math.min(lowerBound(face.times, view.end) + 1, face.times.length);
  const dense = to - from > width; // more samples than pixels
  context.lineJoin = context.lineCap = "round";
  for (const emotion of [...visible].sort((a, b) => (a === focus) - (b === focus))) {
    const color = theme.colors[theme.emotions[emotion]];
    const strength = focus === null || emotion === focus ? 1 : 0.18;
    context.strokeStyle = context.fillStyle = color;
    if (face.smoothed && to - from < width / 2) {
      context.lineWidth = 1;
      context.globalAlpha = strength * theme.raw;
      context.stroke(line(face, face.values, emotion, from, to, x, y));
    }
    const values = face.smoothed ?? face.values;
    context.lineWidth = emotion === focus ? 2.5 : 1.75;
    context.globalAlpha = strength;
    if (dense) context.fill(outline(face, values, emotion, from, to, x, y, context.lineWidth));
    else context.stroke(line(face, values, emotion, from, to, x, y));
  }
  context.globalAlpha = 1;
  drawValence(context, face, from, to, x, height - BAND - 4 - VALENCE / 2, width, theme);
}

/** Draws valence as a thin line around its own zero level: above it positive, below it negative. */
function drawValence(context, face, from, to, x, middle, width, theme) {
  const y = (value) => middle - value * (VALENCE / 2);
  context.fillStyle = theme.line;
  context.fillRect(0, Math.round(middle), width, 1);
  context.strokeStyle = context.fillStyle = theme.ink;
  context.lineWidth = 1.25;
  context.globalAlpha = 0.75;
  const values = face.valence.map((value) => value * 10000);
  if (to - from > width) context.fill(outline(face, values, 0, from, to, x, y, context.lineWidth));
  else context.stroke(line(face, values, 0, from, to, x, y));
  context.globalAlpha = 1;
}

function drawEpisode(context, episode, x, bottom, height, width, theme, dimmed) {
  const left = Math.max(x(episode.start), -2);
  const right = Math.min(x(episode.end), width + 2);
  const color = theme.colors[episode.emotion];
  const uncertain = episode.emotion === "uncertain";
  context.fillStyle = color;
  if (!uncertain) {
    context.globalAlpha = theme.tint * (dimmed ? 0.25 : episode.emotion === "neutral" ? 0.6 : 1);
    context.fillRect(left, 0, right - left, bottom);
  }
  context.globalAlpha = (uncertain ? theme.uncertain : 1) * (dimmed ? 0.25 : 1);
  const gap = right - left > 4 ? 1 : 0;
  context.fillRect(left, height - BAND, Math.max(right - left - gap, 1), BAND);
  context.globalAlpha = 1;

  const [begin, end] = [Math.max(left, 0), Math.min(right, width)];
  context.font = `600 11.5px ${theme.font}`;
  const textWidth = context.measureText(episode.emotion).width;
  if (dimmed || end - begin < textWidth + 12) return;
  context.fillStyle = uncertain ? theme.muted : theme.inks[episode.emotion];
  context.textBaseline = "middle";
  context.fillText(episode.emotion, begin + 6, height - BAND / 2 + 0.5);
}

/**
 * One emotion's curve as an outline to fill: a bar in every column of pixels from the lowest to the highest sample there,
 * so that a long recording costs no more than its pixels and no peak is lost. A sample without the face ends it.
 */
function outline(face, values, emotion, from, to, x, y, lineWidth) {
  const path = new Path2D();
  const count = values.length / face.times.length;
  let bars = []; // of one stretch in which the face was there throughout
  const close = () => {
    path.moveTo(bars[0].column, bars[0].bottom + lineWidth / 2);
    for (const { column, top } of bars) {
      path.lineTo(column, top - lineWidth / 2);
      path.lineTo(column + 1, top - lineWidth / 2);
    }
    for (const { column, bottom } of bars.reverse()) {
      path.lineTo(column + 1, bottom + lineWidth / 2);
      path.lineTo(column, bottom + lineWidth / 2);
    }
    path.closePath();
  };
  for (let i = from; i < to; i++) {
    const column = Math.floor(x(face.times[i]));
    const py = y(values[i * count + emotion] / 10000);
    if (i > from && face.samples[i] !== face.samples[i - 1] + 1) {
      close();
      bars = [];
    }
    const bar = bars.at(-1);
    if (bar?.column === column) {
      bar.top = Math.min(bar.top, py);
      bar.bottom = Math.max(bar.bottom, py);
    } else {
      // From where the last bar ended, so that a steep flank is not torn.
      const before = bar ? bar.last : py;
      bars.push({ column, top: Math.min(py, before), bottom: Math.max(py, before), last: py });
    }
    bars.at(-1).last = py;
  }
  if (bars.length) close();
  return path;
}

/** One emotion's curve as a line through all its samples. A sample without the face breaks it. */
function line(face, values, emotion, from, to, x, y) {
  const path = new Path2D();
  const count = values.length / face.times.length;
  for (let i = from; i < to; i++) {
    const [px, py] = [x(face.times[i]), y(values[i * count + emotion] / 10000)];
    if (i === from || face.samples[i] !== face.samples[i - 1] + 1) path.moveTo(px, py);
    path.lineTo(px, py); // a lone sample becomes a dot
    if (shown[face.samples[i]] > STANDING) path.lineTo(x(face.times[i] + shown[face.samples[i]]), py);
  }
  return path;
}

/** The whole recording at a glance: every face's episodes, one thin stripe each. */
function drawOverview(canvas, faces, span, theme) {
  const { context, width, height } = prepare(canvas);
  const scale = width / (span.end - span.start);
  const stripe = height / faces.length;
  faces.forEach((face, n) => {
    for (const episode of face.episodes) {
      context.fillStyle = theme.colors[episode.emotion];
      context.globalAlpha = episode.emotion === "uncertain" ? theme.uncertain : 1;
      const left = (episode.start - span.start) * scale;
      const wide = Math.max((episode.end - episode.start) * scale, 0.5);
      context.fillRect(left, n * stripe, wide, Math.max(stripe - 1, 1));
    }
  });
}
