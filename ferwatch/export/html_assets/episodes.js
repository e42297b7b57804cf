// The table of episodes: filtered by the legend, sorted by any column. Links to a moment: #t=83.5 or #t=1:23.5.

function filterRows() {
  for (const row of rows) {
    const face = faces.find((f) => f.id === row.face);
    row.element.hidden = Boolean(face?.hidden) || !isVisible(row.emotion);
  }
  const left = rows.filter((row) => !row.element.hidden).length;
  find("#episode-count").textContent = left === rows.length ? rows.length : `${left} of ${rows.length}`;
}

for (const row of rows) row.element.addEventListener("click", () => seek(row.start));

const sortKey = (row, column) => {
  const cell = row.element.cells[column];
  return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
};

findAll("#episodes th").forEach((head, column) => {
  find("button", head).addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of findAll("#episodes th")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
    const sorted = [...rows].sort((a, b) => (down ? -1 : 1) * compare(sortKey(a, column), sortKey(b, column)) || a.start - b.start);
    find("#episodes tbody").append(...sorted.map((row) => row.element));
  });
});

// ---- Links ---------------------------------------------------------------------------------------------------------

/** The time that the address names after #t=, in seconds; null where it names none. */
function linkedTime() {
  const parts = /^#t=((?:\d+:){0,2}\d+(?:\.\d*)?)$/.exec(location.hash)?.[1].split(":").map(Number);
  return parts ? parts.reduce((total, part) => 60 * total + part, 0) : null;
}

function followLink() {
  const time = linkedTime();
  if (time !== null) seek(time);
}

let linking = 0;
/** Makes the address a link to the current time, after a pause: browsers limit how often the address may change. */
function linkHere() {
  clearTimeout(linking);
  linking = setTimeout(() => history.replaceState(null, "", `#t=${now.toFixed(3)}`), 400);
}

window.addEventListener("hashchange", followLink);
