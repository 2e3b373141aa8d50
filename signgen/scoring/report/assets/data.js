// What the writer left in the page: JSON in script elements, read when it is asked for.

function readJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

const report = readJson("report-data");
const opened = new Map(); // clip number -> its data

function openClip(number) {
  if (!opened.has(number)) opened.set(number, readJson(`clip-${number}`));
  return opened.get(number);
}

function byId(id) {
  return document.getElementById(id);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

function formatted(value, digits) {
  return value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "\u2212");
}
