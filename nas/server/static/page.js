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
    const held = part.contains(document.activeElement) || part.querySelector("input:checked");
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

function refreshing() {
  const seconds = Number(document.body.dataset.refresh);
  if (!seconds) return;
  let wait = seconds * 1000, turn = 0;
  const step = async () => {
    if (!document.hidden) {
      try {
        const page = await fetched(location.href);
        takeParts(page);
        turn += 1;
        const goesOn = page.body.dataset.refresh;
        if (turn % 5 === 0 || !goesOn) loadAll();
        if (!goesOn) return;
        wait = seconds * 1000;
      } catch {
        wait = Math.min(wait * 2, 60000); // the server is away: ask less often
      }
    }
    setTimeout(step, wait);
  };
  setTimeout(step, wait);
}

localTimes(document);
loadAll();
refreshing();
