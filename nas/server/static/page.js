"use strict";
// Every page works without this; it keeps what goes on up to date, and times in the reader's zone.

function localTimes(root) {
  for (const item of root.querySelectorAll("time[datetime]")) {
    const time = new Date(item.dateTime);
    item.title = item.textContent;
    item.textContent = time.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}

async function fetched(url) {
  const answer = await fetch(url, { credentials: "same-origin", headers: { accept: "text/html" } });
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// parts are replaced where they differ, and not while somebody's focus or choice is in them
function takeParts(page) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const newer = page.getElementById(part.id);
    if (!newer) continue;
    localTimes(newer);
    if (part.id === "log" && source) continue; // the stream goes on where this is
    const active = document.activeElement;
    const held = (part !== active && part.contains(active)) || part.querySelector("input:checked");
    // the element stays: a screen reader listens to it
    if (!held && newer.innerHTML !== part.innerHTML) part.innerHTML = newer.innerHTML;
  }
}

async function load(section) {
  const [url, id] = section.dataset.load.split("#");
  try {
    const found = (await fetched(url)).getElementById(id);
    if (found && found.innerHTML !== section.innerHTML) section.innerHTML = found.innerHTML;
  } catch {
    // the link to it stays
  }
}

function loadAll() {
  document.querySelectorAll("[data-load]").forEach(load);
}

// What goes on is shown as the server tells of it (data-events), and looked at now and then
// besides; where there is no stream, every data-refresh seconds, and less often while the server
// is away. A page that nobody sees asks for nothing.
const every = Number(document.body.dataset.refresh) * 1000, quiet = 10000, deafFor = 60000;
let goesOn = every > 0, source = null, deafUntil = 0, timer = 0, wait = every, turn = 0, lookedAt = 0;

async function look() {
  if (document.hidden) return;
  lookedAt = Date.now();
  try {
    const page = await fetched(location.href);
    goesOn = Boolean(page.body.dataset.refresh);
    if (!goesOn) close(); // this page has all that the stream would still bring
    takeParts(page);
    turn += 1;
    if (turn % 5 === 0 || !goesOn) loadAll();
    wait = every;
    if (goesOn && !source) listen(page.body.dataset.events);
  } catch {
    close();
    wait = Math.min(wait * 2, 60000);
  }
  if (goesOn) lookIn(source ? quiet : wait);
}

function lookIn(ms) {
  clearTimeout(timer);
  timer = setTimeout(look, ms);
}

function listen(events) {
  if (!events || document.hidden || Date.now() < deafUntil) return;
  source = new EventSource(events);
  source.addEventListener("progress", () => lookIn(Math.max(0, lookedAt + every - Date.now())));
  source.addEventListener("log", (event) => append(JSON.parse(event.data)));
  source.addEventListener("end", () => { close(); lookIn(0); });
  source.addEventListener("error", () => { // refused, or broken off
    close();
    deafUntil = Date.now() + deafFor;
    lookIn(wait);
  });
}

function close() {
  clearTimeout(timer);
  if (source) source.close();
  source = null;
}

function append(text) {
  const log = document.getElementById("log");
  if (!log) return;
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(text);
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

localTimes(document);
loadAll();
if (goesOn) {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : goesOn && look()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && goesOn && look());
  listen(document.body.dataset.events);
  lookIn(source ? quiet : wait);
}
