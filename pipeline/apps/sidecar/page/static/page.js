// The page: asks the server once a query, fuses in the browser, draws.

import { fuse, ndcg, order } from "./fusion.js";
import { element, documentItem, bars } from "./items.js";
import { drawLines, light } from "./lines.js";

const SHOWN = 20;
const $ = (id) => document.getElementById(id);
const state = { answer: null, asking: null, judged: new Map() };

async function start() {
  const about = await (await fetch("page/about")).json();
  $("depth").value = about.depth;
  for (const name of about.models) $("model").append(element("option", { value: name }, called(name)));
  $("model").value = about.model;
  $("weight").value = about.weight;
  $("deadline").value = about.deadline ?? "";
  $("key-field").hidden = !about.keyed;
  $("key").value = sessionStorage.getItem("key") ?? "";
  if (!about.keyed || $("key").value) await loadJudged();
  if (!about.searches) say("This server has no index to search: start it with --index.", true);
  $("panel").open = !matchMedia("(max-width: 44rem)").matches;
  showSettings();
  const asked = new URLSearchParams(location.search), model = asked.get("model");
  if (about.models.includes(model)) $("model").value = model;
  if (asked.has("q")) { $("query").value = asked.get("q"); search(); }
}

const called = (name) => (name === "none" ? "none: first stage alone" : name);

async function loadJudged() {
  if (state.judged.size) return;
  const response = await fetch("page/judged", { headers: authorization() });
  if (!response.ok) return;
  for (const { query, grades } of await response.json()) {
    state.judged.set(query, grades);
    $("judged").append(element("option", { value: query }));
  }
}

function authorization() {
  return $("key").value ? { authorization: `Bearer ${$("key").value}` } : {};
}

async function search() {
  const query = $("query").value.trim();
  if (!query) return;
  say("Searching …");
  state.asking?.abort();
  const { signal } = state.asking = new AbortController();
  sessionStorage.setItem("key", $("key").value);
  const model = $("model").value;
  history.replaceState(null, "", `?${new URLSearchParams({ q: query, model })}`);
  const depth = Number($("depth").value), deadline = Number($("deadline").value);
  const body = { query, model, depth, k: depth, highlight: true, ...(deadline > 0 && { deadline }) };
  const headers = { "content-type": "application/json", ...authorization() };
  try {
    await loadJudged();
    const response = await fetch("search", { method: "POST", headers, body: JSON.stringify(body), signal });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error?.message ?? response.statusText);
    show(answer);
  } catch (error) {
    if (signal.aborted) return;
    $("rankings").hidden = true;
    say(`The search failed: ${error.message}`, true);
  }
}

function show(answer) {
  // the first stage's order is the one that all columns and ties go by
  const hits = [...answer.hits].sort((a, b) => a.retrieval_rank - b.retrieval_rank);
  state.answer = { ...answer, hits };
  showStatus(answer);
  $("rankings").hidden = hits.length === 0;
  if (hits.length === 0) return say("Nothing was found.");
  render();
}

function render() {
  if (!state.answer?.hits.length) return;
  const { hits, query } = state.answer;
  const first = hits.map((hit) => hit.retrieval), second = hits.map((hit) => hit.rerank);
  const chooser = hits[0].columns?.cheap === undefined
    ? null : hits.map((hit) => hit.columns.cheap);
  const fused = fuse(chooser ? [first, chooser, second] : [first, second], settings());
  const places = order(fused, chooser);
  const scales = { first, second, fused };
  const grades = state.judged.get(query);
  const item = (place, rank, before) => documentItem(hits[place], {
    rank, before, relevant: (grades?.[hits[place].id] ?? 0) > 0,
    scores: before === undefined
      ? bars(scales, place, ["first"]) : bars(scales, place, ["first", "second", "fused"]),
  });
  const shown = Math.min(SHOWN, hits.length);
  $("first").replaceChildren(...hits.slice(0, shown).map((_, place) => item(place, place + 1)));
  $("final").replaceChildren(
    ...places.slice(0, shown).map((place, rank) => item(place, rank + 1, place + 1)),
  );
  showMeasure("measure-before", hits.map((hit) => hit.id), grades);
  showMeasure("measure-after", places.map((place) => hits[place].id), grades);
  drawLines($("lines"), $("first"), $("final"));
}

function showMeasure(id, ids, grades) {
  const value = grades ? ndcg(ids, grades) : null;
  $(id).textContent = value === null ? "" : `nDCG@10 ${value.toFixed(3)}`;
}

function showStatus({ hits, model, status, seconds }) {
  const texts = {
    complete: hits[0]?.columns
      ? `${status.candidates} candidates were chosen, and scored by ${model}.`
      : `All ${status.candidates} candidates were scored by ${model}.`,
    partial: "Partial",
    skipped: model === "none" ? "The first stage alone" : "The second stage was skipped",
    failed: "Degraded: this is the first stage’s ranking",
  };
  const told = status.reason && model !== "none";
  const reason = told ? ` — ${status.reason}` : "";
  say(texts[status.outcome] + reason, status.outcome === "partial" || status.outcome === "failed");
  const parts = Object.entries(seconds)
    .map(([stage, value]) => element("span", {}, `${stage} ${time(value)}`));
  $("timings").replaceChildren(...parts);
}

const time = (seconds) =>
  (seconds < 10 ? `${(1000 * seconds).toFixed(1)} ms` : `${seconds.toFixed(1)} s`);

function say(text, degraded = false) {
  $("status").textContent = text;
  $("status").classList.toggle("degraded", degraded);
}

function settings() {
  return {
    method: $("method").value,
    normalizer: $("normalizer").value,
    weight: Number($("weight").value),
  };
}

function showSettings() {
  $("weight-shown").textContent = Number($("weight").value).toFixed(2);
  for (const field of document.querySelectorAll(".weighted")) {
    field.hidden = $("method").value !== "weighted";
  }
}

function move(step) {
  const items = [...$("final").children];
  const at = items.indexOf(document.activeElement.closest?.("#final > li"));
  items[Math.max(0, Math.min(items.length - 1, at + step))]?.focus();
}

function onKey(event) {
  const typing = event.target.matches("input:not([type=range]), select");
  if (event.key === "Escape") document.activeElement.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = {
    "/": () => { $("query").focus(); $("query").select(); },
    j: () => move(1),
    k: () => move(-1),
    Enter: () => toggle(event.target.closest("li.document")),
  };
  if (!(event.key in actions)) return;
  if (event.key === "Enter" && !event.target.closest("li.document")) return;
  event.preventDefault();
  actions[event.key]();
}

function toggle(item) {
  if (!item) return;
  item.setAttribute("aria-expanded", item.getAttribute("aria-expanded") !== "true");
  drawLines($("lines"), $("first"), $("final"));
}

$("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
for (const id of ["method", "normalizer", "weight"]) {
  $(id).addEventListener("input", () => { showSettings(); render(); });
}
for (const id of ["depth", "deadline", "model"]) {
  $(id).addEventListener("change", () => { if (state.asking) search(); });
}
document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  if (!getSelection().toString()) toggle(event.target.closest("li.document"));
});
for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => light(event.target.closest?.("li.document")));
}
addEventListener("resize", () => drawLines($("lines"), $("first"), $("final")));
start();
