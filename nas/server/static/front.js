"use strict";
// The plot of the front; the table below it says the same to who can't see or point.

const plot = document.getElementById("plot");
const picked = document.getElementById("picked");
const question = document.getElementById("question");
const NARROW = 560; // pixels, below which there is room for fewer words
const PREFIXES = [["G", 1e9], ["M", 1e6], ["k", 1e3]];
let others = null, asked = 0;

function variable(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function written(value, axis, shown) {
  if (shown.percent[axis]) return (100 * value).toFixed(1) + " %";
  for (const [prefix, size] of PREFIXES) {
    if (shown.si[axis] && Math.abs(value) >= size) return Number((value / size).toPrecision(4)) + prefix + shown.units[axis];
  }
  return [Number(value.toPrecision(4)), shown.units[axis]].join(" ").trim();
}

function escaped(text) { // Plotly reads some HTML in texts
  return String(text).replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
}

function told(values, shown) { // what a point is, a line for each metric that the plot shows
  return shown.names.filter((name, k) => shown.names.indexOf(name) === k).map((name, k) => `${escaped(name)}: ${values[k] === null ? "not known" : written(values[k], k, shown)}`);
}

// one trace, or two where the colour is a metric's value: those without it are grey
function traces(points, rows, shown, look) {
  if (!shown.shades) return [trace(points, rows, shown, look, { color: look.color })];
  const has = (i) => points.shade[i] !== null, scale = shown.percent[2] ? 100 : 1;
  const known = rows.filter(has), others = rows.filter((i) => !has(i)), grey = { ...look, color: variable("--soft") };
  const color = known.map((i) => points.shade[i] * scale);
  return [trace(points, others, shown, grey, { color: grey.color }), trace(points, known, shown, look, { coloraxis: "coloraxis", color })];
}

function trace(points, rows, shown, look, colors) {
  const pick = (name) => rows.map((i) => points[name][i]);
  const scale = shown.percent.map((p) => (p ? 100 : 1));
  const x = pick("x").map((v) => v * scale[0]), y = pick("y").map((v) => v * scale[1]);
  const error = pick("error").map((v) => v * scale[1]);
  return {
    type: "scatter", x, y,
    customdata: rows.map((i) => [points.name[i], points.path[i], points.x[i], points.y[i]]),
    text: rows.map((i) => [`<b>${escaped(points.name[i])}</b>`, ...told([points.x[i], points.y[i], points.shade[i]], shown)].join("<br>")),
    hovertemplate: "%{text}<extra></extra>",
    error_y: look.errors && error.some(Boolean) ? { type: "data", array: error, thickness: 1, width: 0, color: look.color } : undefined,
    marker: { size: look.size, opacity: look.opacity, symbol: look.symbol, ...colors },
    ...look.rest,
  };
}

function groups(points) {
  const found = new Map();
  points.group.forEach((name, i) => found.set(name, [...(found.get(name) || []), i]));
  return [...found];
}

function tracesOf(shown) {
  const colors = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5"].map(variable);
  const soft = variable("--soft"), found = [], isNarrow = plot.clientWidth < NARROW;
  const all = shown.front.x.map((_, i) => i);
  const names = groups(shown.front).map(([name]) => name);
  const colorOf = (name) => (names.includes(name) ? colors[names.indexOf(name) % colors.length] : soft);
  const symbols = ["circle", "diamond", "square", "triangle-up", "cross", "star"];
  if (others && others.x.length) {
    for (const [name, rows] of groups(others)) {
      const color = name ? colorOf(name) : soft;
      const rest = { mode: "markers", name: "dominated", showlegend: false };
      found.push(...traces(others, rows, shown, { color, size: 5, opacity: 0.4, rest }));
    }
  }
  shown.references.forEach((curve, k) => { // one entry of the legend; each is named at its end
    const scale = shown.percent[1] ? 100 : 1, last = curve.x.length - 1;
    found.push({
      type: "scatter", mode: isNarrow ? "lines+markers" : "lines+markers+text", name: "published families", legendgroup: "published", showlegend: k === 0,
      x: curve.x, y: curve.y.map((v) => v * scale), customdata: curve.labels.map((name) => [name, `/models/${name}`, 0, 0]),
      text: curve.x.map((_, i) => (i === last ? escaped(curve.name) : "")), textposition: "top center", textfont: { size: 10, color: soft },
      hovertext: curve.labels.map((name, i) => `<b>${escaped(name)}</b> (published)<br>${written(curve.x[i], 0, shown)}, ${written(curve.y[i], 1, shown)}`), hoverinfo: "text",
      line: { color: soft, dash: "dot", width: 1.2 }, marker: { size: 4, color: soft }, cliponaxis: false,
    });
  });
  const line = { shape: "hv", color: colors[0], width: 1.5 };
  found.push({ type: "scatter", mode: "lines", name: "Front", showlegend: false, hoverinfo: "skip", line,
    x: shown.front.x.map((v) => v * (shown.percent[0] ? 100 : 1)), y: shown.front.y.map((v) => v * (shown.percent[1] ? 100 : 1)) });
  const parts = shown.front.group.some(Boolean) ? groups(shown.front) : [["", all]];
  parts.forEach(([name, rows], k) => {
    const rest = { mode: "markers", name: name || "Front", showlegend: Boolean(name) || (shown.references.length > 0 && !shown.shades) };
    found.push(...traces(shown.front, rows, shown, { color: colors[k % colors.length], size: 9, opacity: 1, symbol: symbols[k % symbols.length], errors: true, rest }));
  });
  return found;
}

function axis(title, log, si, percent) {
  const soft = variable("--soft"), grid = variable("--grid");
  return { title: { text: escaped(title), standoff: 12 }, type: log ? "log" : "linear", gridcolor: grid, linecolor: soft, zeroline: false,
    tickformat: si && !percent ? "~s" : "", color: variable("--text"), automargin: true, nticks: log ? undefined : 7, dtick: undefined };
}

function shading(shown) {
  const isNarrow = plot.clientWidth < NARROW;
  const bar = { ...(isNarrow ? { orientation: "h", y: -0.3, yanchor: "top" } : {}), title: { text: escaped(shown.titles[2]), side: isNarrow ? "top" : "right" }, thickness: 14, outlinewidth: 0, tickformat: shown.si[2] && !shown.percent[2] ? "~s" : "" };
  return { colorscale: "Viridis", reversescale: !matchMedia("(prefers-color-scheme: dark)").matches, colorbar: bar };
}

function draw() {
  const shown = JSON.parse(document.getElementById("plot-data").textContent);
  if (!window.Plotly) return;
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { t: 24, r: 18, b: 64, l: 64 },
    font: { color: variable("--text"), family: getComputedStyle(document.body).fontFamily, size: 13 },
    xaxis: axis(shown.titles[0], shown.log, shown.si[0], shown.percent[0]),
    yaxis: axis(shown.titles[1], false, shown.si[1], shown.percent[1]),
    coloraxis: shown.shades ? shading(shown) : undefined,
    hovermode: "closest", legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
    hoverlabel: { bgcolor: variable("--raised"), bordercolor: variable("--edge"), font: { color: variable("--text") } },
    uirevision: question.kind.value + question.job.value + question.x.value + question.y.value + question.scale.value,
  };
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"] };
  if (!plot.classList.contains("js-plotly-plot")) plot.textContent = "";
  Plotly.react(plot, tracesOf(shown), layout, config).then(() => {
    if (plot.dataset.listens) return;
    plot.dataset.listens = "yes";
    plot.on("plotly_click", (event) => pick(event.points[0].customdata, JSON.parse(document.getElementById("plot-data").textContent)));
  });
}

function pick(data, shown) {
  if (!data) return;
  const [name, path, x, y] = data;
  const link = Object.assign(document.createElement("a"), { href: path, textContent: `Open ${name}` });
  const text = x ? ` ${shown.names[0]} ${written(x, 0, shown)}, ${shown.names[1]} ${written(y, 1, shown)}. ` : " as published. ";
  picked.replaceChildren(link, document.createTextNode(text));
  const fingerprint = path.startsWith("/models/") ? path.slice(8) : null;
  if (!fingerprint) return;
  const box = [...document.querySelectorAll("#models input[name=m]")].find((b) => b.value === fingerprint);
  const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: "Choose to compare" });
  button.addEventListener("click", () => {
    if (box) box.checked = true;
    else document.getElementById("models").append(Object.assign(document.createElement("input"), { type: "hidden", name: "m", value: fingerprint }));
    button.replaceWith("chosen");
  });
  picked.append(button);
}

async function loadOthers() {
  const turn = ++asked;
  try {
    const answer = await fetch(plot.dataset.others, { credentials: "same-origin" });
    if (!answer.ok || turn !== asked) return;
    others = await answer.json();
    draw();
  } catch {
    // the front is there without them
  }
}

// a slider stands for the text field beside it: logarithmic for costs, linear for shares
function valueAt(slider) {
  const low = Number(slider.dataset.low), high = Number(slider.dataset.high), share = slider.value / 1000;
  if ("percent" in slider.dataset) return low + share * (high - low);
  return low * (high / low) ** share;
}

function fromSlider(slider) {
  const field = document.getElementById(slider.dataset.for), isPercent = "percent" in slider.dataset;
  const isOpen = isPercent ? slider.value === slider.min : slider.value === slider.max;
  if (isOpen) field.value = "";
  else if (isPercent) field.value = (100 * valueAt(slider)).toFixed(1);
  else {
    const value = valueAt(slider), [prefix, size] = PREFIXES.find(([, s]) => value >= s) || ["", 1];
    field.value = Number((value / size).toPrecision(3)) + prefix;
  }
  slider.setAttribute("aria-valuetext", field.value ? field.value + (isPercent ? " %" : "") : "any");
}

// what was chosen in the table stays chosen, and whoever is in it stays there
function takeAnswer(page) {
  const rows = document.getElementById("rows"), active = document.activeElement;
  const chosen = new Set([...rows.querySelectorAll("input:checked")].map((box) => box.value));
  const focused = rows.contains(active) ? active.value || active.href : null;
  for (const id of ["answer", "rows"]) document.getElementById(id).innerHTML = page.getElementById(id).innerHTML;
  for (const item of rows.querySelectorAll("input, a")) {
    if (chosen.has(item.value)) item.checked = true;
    if (focused && focused === (item.value || item.href)) item.focus();
  }
}

async function ask() {
  const query = new URLSearchParams(new FormData(question));
  for (const [name, value] of [...query]) if (!value) query.delete(name);
  const url = `/front?${query}`;
  const turn = ++asked;
  const answer = await fetch(url, { credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (turn !== asked) return;
  if (!answer.ok) {
    const message = page.querySelector(".message");
    picked.textContent = message ? message.textContent : `The server answered ${answer.status}.`;
    return;
  }
  takeAnswer(page);
  history.replaceState(null, "", url);
  plot.dataset.others = `/front/others?${query}`;
  others = null;
  picked.textContent = "";
  draw();
  loadOthers();
}

if (plot) {
  for (const slider of question.querySelectorAll("input[type=range]")) {
    slider.addEventListener("input", () => fromSlider(slider));
    slider.addEventListener("change", ask);
  }
  for (const name of ["scale", "color", "ties"]) question[name].addEventListener("change", () => {
    if (question.color.value.includes("@")) question.requestSubmit(); // what it was measured with may be to choose
    else ask();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  loadOthers();
}
