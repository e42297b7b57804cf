// The pointer on the lanes: hovering, dragging, pinching and the wheel.

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
