"use strict";
// The table of recordings: filters, fifty at a time, each a band of episodes that lead to the recording's page.

const find = (selector) => document.querySelector(selector);
const create = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const study = JSON.parse(find("#study").textContent);
const PAGE = 50;
const longest = Math.max(1, ...study.recordings.map((r) => r.end - r.start));
let first = 0;

// ---- Filters -------------------------------------------------------------------------------------------------------

const selects = study.conditions.map((name, i) => {
  const levels = [...new Set(study.recordings.map((r) => r.levels[i]))];
  const select = create("select", {}, create("option", { value: "" }, "all"));
  for (const level of levels) select.append(create("option", { value: level }, level));
  find("#conditions").append(create("label", {}, `${name} `, select));
  return select;
});
for (const label of study.labels) {
  find("#emotion").append(create("option", { value: label }, label));
  find("#legend").append(create("span", { "data-emotion": label }, label));
}
for (const name of ["Participant", ...study.conditions, "Recording"]) find("#head").append(create("th", { scope: "col" }, name));
find("#head").append(create("th", { scope: "col", class: "band" }, "Episodes"));

/** The recordings that pass all filters. */
function chosen() {
  const person = find("#participant").value.trim().toLowerCase();
  const emotion = study.labels.indexOf(find("#emotion").value);
  return study.recordings.filter((r) =>
    r.participant.toLowerCase().includes(person)
    && selects.every((select, i) => !select.value || select.value === r.levels[i])
    && (emotion < 0 || r.episodes.some((e) => e[0] === emotion)));
}

// ---- The table -----------------------------------------------------------------------------------------------------

function clock(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  const pad = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  const rest = `${pad(seconds % 60)}.${String(Math.floor(milliseconds % 1000)).padStart(3, "0")}`;
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${rest}`;
}

function band(recording) {
  const track = create("div", { class: "track" });
  const length = create("div", { class: "length" });
  length.style.width = `${(100 * (recording.end - recording.start)) / longest}%`;
  track.append(length);
  const emotion = study.labels.indexOf(find("#emotion").value);
  let reachable = false; // one episode of a band is in the tab order; the arrow keys reach the others
  for (const [label, start, end] of recording.episodes) {
    const name = study.labels[label];
    const text = `${name}, ${clock(start)} to ${clock(end)}`;
    const dimmed = emotion >= 0 && emotion !== label;
    const attributes = { class: `episode${dimmed ? " dimmed" : ""}`, "data-emotion": name, title: text };
    let element;
    if (recording.page && !dimmed) {
      Object.assign(attributes, { href: `${recording.page}#t=${start / 1000}`, "aria-label": text, tabindex: reachable ? "-1" : "0" });
      reachable = true;
      element = create("a", attributes);
    } else {
      element = create("span", attributes);
    }
    element.style.left = `${(100 * (start - recording.start)) / longest}%`;
    element.style.width = `${(100 * (end - start)) / longest}%`;
    track.append(element);
  }
  track.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const links = [...track.querySelectorAll("a")];
    const next = links[links.indexOf(document.activeElement) + step];
    event.preventDefault();
    if (!next) return;
    document.activeElement.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  return track;
}

function row(recording) {
  const cells = [recording.participant, ...recording.levels].map((text) => create("td", {}, create("bdi", {}, text)));
  const name = recording.page ? create("a", { href: recording.page }, recording.name) : create("bdi", {}, recording.name);
  return create("tr", {}, ...cells, create("td", {}, name), create("td", { class: "band" }, band(recording)));
}

function show() {
  const recordings = chosen();
  first = Math.max(0, Math.min(first, recordings.length - 1));
  first -= first % PAGE;
  const last = Math.min(first + PAGE, recordings.length);
  find("#rows").replaceChildren(...recordings.slice(first, last).map(row));
  find("#count").textContent = `${recordings.length} of ${study.recordings.length} recordings`;
  find("#pages").hidden = recordings.length <= PAGE;
  find("#place").textContent = `${first + 1} to ${last} of ${recordings.length}`;
  find("#before").disabled = first === 0;
  find("#after").disabled = last === recordings.length;
}

function turn(step) {
  first += step;
  show();
}

find("#filters").addEventListener("input", () => { first = 0; show(); });
find("#filters").addEventListener("reset", () => setTimeout(() => { first = 0; show(); }));
find("#filters").addEventListener("submit", (event) => event.preventDefault());
find("#before").addEventListener("click", () => turn(-PAGE));
find("#after").addEventListener("click", () => turn(PAGE));

// ---- Theme ---------------------------------------------------------------------------------------------------------

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  find("#theme").setAttribute("aria-pressed", String(dark));
}
setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
find("#theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme !== "dark"));

show();
