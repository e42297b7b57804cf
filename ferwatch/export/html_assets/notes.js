// Notes: kept by the browser for this page, and saved as CSV.

const NOTES_KEY = `ferwatch-notes:${location.pathname}:${document.title}`;
let notes = [];

function keptNotes() {
  try {
    const kept = JSON.parse(localStorage.getItem(NOTES_KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((n) => Number.isFinite(n.time) && typeof n.text === "string") : [];
  } catch {
    return [];
  }
}

function keepNotes() {
  try {
    localStorage.setItem(NOTES_KEY, JSON.stringify(notes));
  } catch {
    find("#notes-hint").textContent = "This browser does not keep notes: save them before you leave the page.";
  }
  showNotes();
}

function showNotes() {
  notes.sort((a, b) => a.time - b.time);
  find("#note-count").textContent = notes.length;
  find("#notes-save").disabled = !notes.length;
  const items = notes.map((note) => {
    const go = create("button", { class: "time" }, clockTime(note.time, 3));
    go.addEventListener("click", () => seek(note.time));
    const remove = create("button", { class: "text", "aria-label": `Delete the note at ${clockTime(note.time, 1)}` }, "Delete");
    remove.addEventListener("click", () => {
      notes = notes.filter((other) => other !== note);
      keepNotes();
      find("#note-text").focus();
    });
    return create("li", {}, go, create("bdi", {}, note.text), remove);
  });
  find("#note-list").replaceChildren(...items);
}

find("#note-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = find("#note-text");
  if (!input.value.trim()) return;
  notes.push({ time: now, text: input.value.trim() });
  input.value = "";
  keepNotes();
});

find("#note-text").addEventListener("keydown", (event) => {
  if (event.key === "Escape") ruler.focus();
});

find("#notes-save").addEventListener("click", () => {
  // A spreadsheet program would take a field that begins with one of these for a formula.
  const field = (text) => `"${text.replace(/^([=+@-])/, "'$1").replaceAll('"', '""')}"`;
  const lines = ["time,note", ...notes.map((note) => `${note.time.toFixed(3)},${field(note.text)}`)];
  const link = create("a", { download: "notes.csv" });
  link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

notes = keptNotes();
showNotes();
