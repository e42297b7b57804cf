// Keyboard, buttons, lanes and the video.

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
  n: () => find("#note-text").focus(),
  Escape: unhover,
};

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select, input")) return;
  if (event.key === " " && target.matches("button, summary")) return; // they answer to it themselves
  if (target.closest("#episodes") && /^(Page|Home|End)/.test(event.key)) return; // the list scrolls
  const act = keys[event.key];
  if (!act) return;
  act(event);
  event.preventDefault();
});

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

function bar(emotion) {
  return create("div", { "data-emotion": emotion }, create("dt", {}, emotion), create("dd"));
}

for (const [number, emotion] of labels.entries()) {
  if (emotion === "uncertain" && !rows.some((row) => row.emotion === emotion)) continue;
  const button = create("button", { "aria-pressed": true, "data-emotion": emotion }, create("i", { class: "chip" }), emotion);
  button.addEventListener("click", () => {
    if (emotion === "uncertain") showsUncertain = !showsUncertain;
    else if (!visible.delete(number)) visible.add(number);
    button.setAttribute("aria-pressed", isVisible(emotion));
    filterRows();
    redraw();
  });
  find("#wanted").append(create("option", { value: emotion }, emotion));
  const standOut = (on) => () => {
    focus = on && visible.has(number) ? number : null;
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
    filterRows();
    face.readout = -2;
    redraw();
  });
  find("#faces").append(button);
}
find("#faces").hidden = faces.length < 2;
find("dl", tooltip).append(...emotions.map(bar));

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
  const showMissing = () => {
    find("#no-video").hidden = false;
    document.body.classList.add("video-missing");
  };
  video.addEventListener("error", showMissing);
  if (video.error) showMissing(); // it failed before this script ran
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
followLink();
announce();
draw();
