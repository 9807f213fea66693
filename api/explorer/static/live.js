// Puts the events of the live view into the page: figures, charts, new anomalies. Without it the page shows what it was opened with.
import { replace } from "./charts.js";

const pulse = document.getElementById("pulse");
const pause = document.getElementById("pause");
const list = document.getElementById("anomalies");
let source;

function say(words, kind) {
  if (pulse.textContent !== words) pulse.textContent = words;
  pulse.className = `tag ${kind}`;
}

function item(row) {
  const entry = document.createElement("li");
  entry.dataset.id = row.id;
  const line = document.createElement("div");
  line.className = "line";
  const name = document.createElement("strong");
  name.textContent = row.detector;
  const score = document.createElement("span");
  score.className = "tag accent";
  score.textContent = `${row.score} sure`;
  line.append(name, score);
  const words = document.createElement("span");
  words.textContent = row.explanation;
  const where = document.createElement("span");
  where.className = "small muted";
  where.textContent = row.country ? `${row.country} · ${row.at}` : row.at;
  entry.append(line, words, where);
  return entry;
}

function showAnomalies(rows) {
  if (!list) return;
  const known = new Set([...list.children].map((entry) => entry.dataset.id));
  if (rows.length === known.size && rows.every((row) => known.has(row.id))) return;
  list.replaceChildren(...rows.map((row) => {
    const entry = item(row);
    if (!known.has(row.id)) entry.classList.add("new");
    return entry;
  }));
  document.getElementById("no-anomalies").hidden = rows.length > 0;
}

async function show(told) {
  for (const [name, words] of Object.entries(told.figures)) {
    const place = document.querySelector(`[data-figure="${name}"]`);
    if (place) place.textContent = words;
  }
  showAnomalies(told.anomalies);
  for (const chart of told.charts) await replace(chart.id, chart.spec, chart.words);
}

function start() {
  source = new EventSource("/explorer/live/events");
  source.addEventListener("open", () => say("Live", "good"));
  source.addEventListener("figures", (event) => { say("Live", "good"); show(JSON.parse(event.data)); });
  source.addEventListener("problem", (event) => say(event.data, "warn"));
  source.addEventListener("error", () => say("Connecting again …", "warn"));
}

pause.hidden = false;
pause.addEventListener("click", () => {
  const isOn = pause.getAttribute("aria-pressed") === "true";
  pause.setAttribute("aria-pressed", String(!isOn));
  pause.textContent = isOn ? "Pause" : "Go on";
  if (isOn) { start(); return; }
  source.close();
  say("Paused", "");
});
addEventListener("pagehide", () => source?.close());
start();
