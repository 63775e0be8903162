// The page: searches once a query, has the server fuse the scores again when a control moves, draws.

import { element, documentItem, bars } from "./items.js";
import { drawLines, light } from "./lines.js";

const SHOWN = 20;
const PAUSE = 60; // milliseconds in which no control moved, before the server is called
const $ = (id) => document.getElementById(id);
const state = {
  about: null, answer: null, searching: null, fusing: null, timer: 0, moved: false, judged: new Map(),
};

async function start() {
  const about = state.about = await (await fetch("page/about")).json();
  $("depth").value = about.depth;
  for (const name of about.models) $("model").append(element("option", { value: name }, called(name)));
  $("model").value = about.model;
  startFusion(about.fusion);
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

// The controls show the server's own fusion where they can; until one moves, it is the server's.
function startFusion({ method, parameters, weights }) {
  const { normalizer = "min-max", missing = "below" } = parameters;
  const known = [...$("normalizer").options].map((option) => option.value);
  const shown = method === "weighted" && missing === "below" && known.includes(normalizer);
  $("method").append(element("option", { value: "own" }, `the server’s own: ${method}`));
  $("method").value = shown ? method : "own";
  if (shown) $("normalizer").value = normalizer;
  const own = weights[2];
  $("weight").value = own.at(-1) / own.reduce((sum, weight) => sum + weight, 0);
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

async function post(path, body, signal) {
  const headers = { "content-type": "application/json", ...authorization() };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error?.message ?? response.statusText);
  return answer;
}

async function search() {
  const query = $("query").value.trim();
  if (!query) return;
  say("Searching …");
  state.searching?.abort();
  const { signal } = state.searching = new AbortController();
  sessionStorage.setItem("key", $("key").value);
  const model = $("model").value;
  history.replaceState(null, "", `?${new URLSearchParams({ q: query, model })}`);
  const depth = Number($("depth").value), deadline = Number($("deadline").value);
  const body = { query, model, depth, k: depth, highlight: true, ...(deadline > 0 && { deadline }) };
  try {
    await loadJudged();
    show(await post("search", body, signal));
  } catch (error) {
    if (signal.aborted) return;
    $("rankings").hidden = true;
    say(`The search failed: ${error.message}`, true);
  }
}

function show(answer) {
  clearTimeout(state.timer);
  state.fusing?.abort(); // it fuses another search's scores
  $("rankings").ariaBusy = "false";
  // columns and ties go by the first stage's order
  const hits = [...answer.hits].sort((a, b) => a.retrieval_rank - b.retrieval_rank);
  state.answer = { ...answer, hits };
  showStatus(answer);
  $("rankings").hidden = hits.length === 0;
  if (hits.length === 0) return say("Nothing was found.");
  if (state.moved) return later();
  const order = answer.hits.map((hit) => hit.retrieval_rank - 1);
  draw({ fused: hits.map((hit) => hit.fused), order });
}

// All scores, (s, n): the first stage's, those of a cascade's first scorer, the second stage's.
function columnsOf(hits) {
  const names = Object.keys(hits[0].columns ?? {});
  const between = names.map((name) => hits.map((hit) => hit.columns[name]));
  return [hits.map((hit) => hit.retrieval), ...between, hits.map((hit) => hit.rerank)];
}

function later() {
  clearTimeout(state.timer);
  $("rankings").ariaBusy = "true";
  state.timer = setTimeout(fuse, PAUSE);
}

// Fuse the scores that are there by the controls; nothing is searched or scored again.
async function fuse() {
  state.fusing?.abort();
  const { signal } = state.fusing = new AbortController();
  try {
    const columns = columnsOf(state.answer.hits);
    const result = $("method").value === "first"
      ? { fused: columns[0], order: columns[0].map((_, index) => index) }
      : await post("page/fuse", { columns, ...chosen(columns.length) }, signal);
    if (signal.aborted) return;
    draw(result);
    showStatus(state.answer);
  } catch (error) {
    if (!signal.aborted) say(`The fusion failed: ${error.message}`, true);
  } finally {
    if (!signal.aborted) $("rankings").ariaBusy = "false";
  }
}

// The fusion that the controls say. What stands before the second stage shares the rest of the
// weight as in the server's own.
function chosen(count) {
  const method = $("method").value;
  if (method === "own") return {};
  if (method !== "weighted") return { fusion: method };
  const weight = Number($("weight").value);
  const own = (state.about.fusion.weights[count] ?? Array(count).fill(1)).slice(0, -1);
  const sum = own.reduce((total, each) => total + each, 0);
  const rest = own.map((each) => (1 - weight) * (sum ? each / sum : 1 / own.length));
  return { fusion: { method, weights: [...rest, weight], normalizer: $("normalizer").value } };
}

function draw({ fused, order }) {
  const { hits, query } = state.answer;
  const columns = columnsOf(hits), first = columns[0], second = columns.at(-1);
  const scales = { first, second, fused };
  const grades = state.judged.get(query);
  const item = (index, rank, before) => documentItem(hits[index], {
    rank, before, relevant: (grades?.[hits[index].id] ?? 0) > 0,
    scores: before === undefined
      ? bars(scales, index, ["first"]) : bars(scales, index, ["first", "second", "fused"]),
  });
  const shown = Math.min(SHOWN, hits.length);
  $("first").replaceChildren(...hits.slice(0, shown).map((_, index) => item(index, index + 1)));
  $("final").replaceChildren(
    ...order.slice(0, shown).map((index, rank) => item(index, rank + 1, index + 1)),
  );
  showMeasure("measure-before", hits.map((hit) => hit.id), grades);
  showMeasure("measure-after", order.map((index) => hits[index].id), grades);
  drawLines($("lines"), $("first"), $("final"));
}

// nDCG@k with linear gains, as trec_eval has it.
function ndcg(ids, grades, k = 10) {
  const gain = (values) => values.slice(0, k)
    .reduce((sum, grade, index) => sum + Math.max(grade, 0) / Math.log2(index + 2), 0);
  const ideal = gain(Object.values(grades).sort((a, b) => b - a));
  return ideal === 0 ? null : gain(ids.map((id) => grades[id] ?? 0)) / ideal;
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
  $(id).addEventListener("input", () => {
    showSettings();
    state.moved = true;
    if (state.answer?.hits.length) later();
  });
}
for (const id of ["depth", "deadline", "model"]) {
  $(id).addEventListener("change", () => { if (state.searching) search(); });
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
