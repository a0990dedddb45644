// What the page does beyond links and forms: it stays up to date, copies, and submits filters. Without it all works,
// but for copying.
"use strict";

// Least time between two looks at the same page, in milliseconds.
const PACE = 2000;

let last = 0;
let waiting = null;

// Replaces those live parts of this page that differ from what the server renders now; never one that has the focus,
// or in which somebody unfolded something.
async function refresh() {
  last = Date.now();
  waiting = null;
  let answer;
  try {
    answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
  } catch {
    return;
  }
  if (answer.redirected || !answer.ok) {
    // Logged out, or gone: a look by hand says which.
    stale(answer.redirected ? "You are logged out: load the page again." : "This page cannot be brought up to date.");
    return;
  }
  const now = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = now.querySelector(`[data-live="${CSS.escape(old.dataset.live)}"]`);
    if (!part || part.isEqualNode(old.pristine ?? old)) continue;
    if (old.contains(document.activeElement) || old.querySelector("details[open]")) continue;
    part.classList.add("changed");
    const pristine = part.cloneNode(true);
    pristine.classList.remove("changed");
    if (pristine.classList.length === 0) pristine.removeAttribute("class");
    part.pristine = pristine;
    old.replaceWith(part);
  }
  document.title = now.title;
}

function stale(why) {
  const note = document.getElementById("stale");
  if (!note) return;
  note.textContent = why;
  note.hidden = false;
}

function soon() {
  if (waiting !== null || document.hidden) return;
  waiting = setTimeout(refresh, Math.max(0, last + PACE - Date.now()));
}

// The first event tells what the page shows already; a later one, that something changed.
function follow() {
  let first = true;
  const events = new EventSource("/api/events");
  events.addEventListener("status", () => {
    const note = document.getElementById("stale");
    if (note) note.hidden = true;
    if (!first) soon();
    first = false;
  });
  events.addEventListener("error", () => {
    stale("Not connected to flipgate: what is shown may be old.");
    first = false;
  });
  document.addEventListener("visibilitychange", soon);
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    // No clipboard outside https and localhost: select it, so that one key copies it.
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { button.textContent = said; }, 2500);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
for (const select of document.querySelectorAll("form.filters select")) {
  select.addEventListener("change", () => select.form.submit());
}
for (const range of document.querySelectorAll("input[type=range][data-for]")) {
  const number = document.getElementById(range.dataset.for);
  range.addEventListener("input", () => { number.value = range.value; });
  number.addEventListener("input", () => { range.value = number.value; });
}
if (document.querySelector("[data-live]")) follow();
