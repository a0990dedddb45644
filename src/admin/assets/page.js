// What the page does beyond links and forms: it stays up to date, and copies. Without it all works, but for copying.
"use strict";

// Least time between two looks at the same page, and the time after which a refused stream is asked for again.
const PACE = 2000;
const AGAIN = 10000;

const LOST = "Not connected to flipgate: what is shown may be old.";

// Where this page can be had. An answer to a form may be at an address that shows nothing to who loads it again.
const own = new URL(document.getElementById("main")?.dataset.at ?? "", location.href);
if (own.pathname !== location.pathname) history.replaceState(null, "", own.pathname + own.search + location.hash);

let last = 0;
let waiting = null;
let events = null;
let pressed = 0;
let isOut = false;
let isLooking = false;
let again = false;

// Replaces those live parts of this page that differ from what the server renders now. The next look waits for this one.
async function refresh() {
  waiting = null;
  isLooking = true;
  again = false;
  await look();
  isLooking = false;
  last = Date.now();
  if (again) soon();
}

async function look() {
  let now;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
    isOut = answer.redirected;
    if (isOut) return stale("You are logged out: load the page again.");
    if (!answer.ok) return stale("This page cannot be brought up to date: load it again.");
    now = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return stale(LOST);
  }
  // What is pressed now must still be there when it is let go.
  if (Date.now() - pressed < PACE) return void setTimeout(soon, PACE);
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = now.querySelector(`[data-live="${CSS.escape(old.dataset.live)}"]`);
    if (part && !part.isEqualNode(old.pristine) && !isSelected(old) && !isFilled(old)) replace(old, part);
  }
  // A flipgate that was started again takes other forms; the fields that people fill stay as they are.
  const csrf = now.querySelector("input[name=csrf]")?.value;
  for (const field of document.querySelectorAll("input[name=csrf]")) field.value = csrf ?? field.value;
  document.title = now.title;
}

// What is unfolded stays so, and so does the focus; where what had it is gone, the part itself has it.
function replace(old, part) {
  const pristine = part.cloneNode(true);
  for (const fold of old.querySelectorAll("details[open]")) {
    const same = part.querySelector(`details[data-fold="${CSS.escape(fold.dataset.fold)}"]`);
    if (same) same.open = true;
  }
  const focus = old.contains(document.activeElement) ? document.activeElement : null;
  const heir = focus && [...part.querySelectorAll(focus.localName)].find((each) => named(each) === named(focus));
  part.classList.add("changed");
  part.pristine = pristine;
  old.replaceWith(part);
  if (!focus) return;
  if (!heir) part.tabIndex = -1;
  (heir ?? part).focus({ preventScroll: true });
}

function named(element) {
  const own = element.getAttribute("href") ?? element.getAttribute("aria-labelledby") ?? element.textContent;
  return `${element.closest("[data-fold]")?.dataset.fold} ${own}`;
}

function isSelected(part) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

// What somebody is typing must not be taken away.
function isFilled(part) {
  const fields = [...part.querySelectorAll("input:not([type=hidden])")];
  return fields.some((field) => field === document.activeElement || field.value !== field.defaultValue);
}

function stale(why) {
  const note = document.getElementById("stale");
  if (!note) return;
  note.textContent = why;
  note.hidden = why === "";
}

function soon() {
  if (isLooking) again = true;
  if (isLooking || waiting !== null || document.hidden) return;
  waiting = setTimeout(refresh, Math.max(0, last + PACE - Date.now()));
}

// Each event is a reason to look, also the first: something may have changed since this page was rendered. Pages that
// nobody sees have no stream: browsers allow six connections to a server, for all their windows together.
function follow() {
  events?.close();
  if (document.hidden) return;
  events = new EventSource("/api/events");
  events.addEventListener("status", () => {
    stale("");
    soon();
  });
  events.addEventListener("error", lost);
}

// A look says whether it is gone or we are logged out. The browser asks again for a stream that broke, not for one
// that was refused.
async function lost() {
  const isRefused = events.readyState === EventSource.CLOSED;
  if (!isOut) stale(LOST);
  await refresh();
  if (isRefused && !isOut) setTimeout(follow, AGAIN);
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
for (const range of document.querySelectorAll("input[type=range][data-for]")) {
  const number = document.getElementById(range.dataset.for);
  range.addEventListener("input", () => { number.value = range.value; });
  number.addEventListener("input", () => { range.value = number.value; });
}
if (document.querySelector("[data-live]")) {
  for (const part of document.querySelectorAll("[data-live]")) part.pristine = part.cloneNode(true);
  for (const type of ["pointerdown", "pointerup", "pointercancel"]) {
    addEventListener(type, () => { pressed = type === "pointerdown" ? Date.now() : 0; }, true);
  }
  document.addEventListener("visibilitychange", follow);
  // Times since something are told in minutes.
  setInterval(soon, 60000);
  follow();
}
