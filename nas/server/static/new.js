"use strict";
// Checks the job file as it is typed; the server says what is wrong, and in which line.

const job = document.getElementById("job");
const verdict = document.getElementById("verdict");
let timer = 0, asking = null, checked = null;

function line(text, className) {
  return Object.assign(document.createElement("p"), { textContent: text, className: className || "" });
}

function goTo(number) {
  const lines = job.value.split("\n");
  const start = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
  job.focus();
  job.setSelectionRange(start, start + (lines[number - 1] || "").length);
}

function show(found) {
  if (!found.ok) {
    const parts = [line(found.message, "bad")];
    if (found.line) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: `Go to line ${found.line}` });
      button.addEventListener("click", () => goTo(found.line));
      parts.push(button);
    }
    verdict.replaceChildren(...parts);
  } else {
    const networks = found.networks ? `, of ${Number(found.networks.toPrecision(3)).toLocaleString()} networks` : "";
    verdict.replaceChildren(
      line(`${found.name} is good: ${found.trials} trials${networks}; ${found.objectives.join(", ")}.`, "good"),
      ...(found.data ? [line(found.data)] : []), ...found.notes.map((note) => line(note)),
    );
  }
  job.setAttribute("aria-invalid", String(!found.ok));
}

async function check() {
  if (job.value === checked) return;
  const text = job.value;
  if (asking) asking.abort();
  asking = new AbortController();
  try {
    const answer = await fetch("/new/check", { method: "POST", body: new URLSearchParams({ job: text }), signal: asking.signal, credentials: "same-origin" });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    show(await answer.json());
    checked = text;
  } catch (error) {
    if (error.name !== "AbortError") verdict.replaceChildren(line(`It can't be checked now: ${error.message}`, "bad"));
  }
}

job.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(check, 400);
});
job.addEventListener("keydown", (event) => { // Tab leaves the field, as it should; Ctrl-Enter sends
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) document.getElementById("writing").requestSubmit();
});
check();
