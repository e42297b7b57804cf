"use strict";
// Helpers, and the recording: what html_page.py wrote into the page.

const find = (selector, root = document) => root.querySelector(selector);
const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];
const create = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const run = JSON.parse(find("#run").textContent);

/** Base64 of little-endian numbers, as html_page.py wrote them. */
function decode(text, Type) {
  return new Type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

const emotions = run.emotions;
const frames = decode(run.frames, Uint32Array); // number in the video of every sampled frame
const times = Float64Array.from(decode(run.times, Int32Array), (ms) => ms / 1000); // time in seconds of every sampled frame
const shown = run.shown ? Float64Array.from(decode(run.shown, Uint32Array), (ms) => ms / 1000) : new Float64Array(times.length); // seconds for which every sampled frame is shown; 0: not known
const span = { start: run.start, end: run.end };
const faces = run.faces.map((face) => {
  const samples = decode(face.samples, Uint32Array); // indices of the sampled frames that show this face
  return {
    ...face,
    samples,
    times: Float64Array.from(samples, (s) => times[s]),
    values: decode(face.values, Uint16Array), // probabilities in 1/10000, emotion by emotion, as in frames.csv
    smoothed: face.smoothed ? decode(face.smoothed, Uint16Array) : null, // smoothed probabilities, likewise; null without smoothing
    valence: null, // valence of every row, -1 to 1
    hidden: false,
    readout: -2,
  };
});

for (const face of faces) {
  const values = face.smoothed ?? face.values;
  face.valence = Float64Array.from(face.times, (_, row) => {
    const at = row * emotions.length;
    return (values[at + run.positive] - Math.max(...run.negative.map((e) => values[at + e]))) / 10000;
  });
}

/** The sampled frame whose picture is shown at a time; where that is not known, the nearest one. */
function nearestSample(time) {
  const before = lowerBound(times, time + 1e-9) - 1;
  if (before >= 0 && time < times[before] + shown[before]) return before;
  const after = clamp(lowerBound(times, time), 1, times.length - 1);
  return time - times[after - 1] <= times[after] - time ? after - 1 : after;
}

/** The index of a sampled frame among those that show a face; -1 where that frame does not show it. */
function rowOf(face, sample) {
  const row = lowerBound(face.samples, sample);
  return face.samples[row] === sample ? row : -1;
}

const valuesOf = (face, row) => face.values.subarray(row * emotions.length, (row + 1) * emotions.length);
const topOf = (values) => values.indexOf(Math.max(...values));
const percent = (value) => `${Math.round(value / 100)}%`;
