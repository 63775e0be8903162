// Lines between a document's place in the first stage's list and in the final one.

const SVG = "http://www.w3.org/2000/svg";

export function drawLines(svg, first, final) {
  const box = svg.getBoundingClientRect();
  if (box.width === 0) return;
  const middles = (list) => new Map([...list.children].map((item) => {
    const place = item.getBoundingClientRect();
    return [item.dataset.id, place.top + Math.min(place.height, 48) / 2 - box.top];
  }));
  const before = middles(first), after = middles(final);
  const rank = (list, id) => [...list.children].findIndex((item) => item.dataset.id === id);
  svg.replaceChildren(...[...after].filter(([id]) => before.has(id)).map(([id, to]) => {
    const from = before.get(id), step = rank(first, id) - rank(final, id);
    const path = document.createElementNS(SVG, "path");
    const half = box.width / 2;
    path.setAttribute("d", `M0 ${from} C${half} ${from} ${half} ${to} ${box.width} ${to}`);
    path.setAttribute("class", step > 0 ? "up" : step < 0 ? "down" : "same");
    path.dataset.id = id;
    return path;
  }));
}

// Make a document stand out wherever it is.
export function light(item) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  if (!item) return;
  for (const same of document.querySelectorAll("[data-id]")) {
    if (same.dataset.id === item.dataset.id) same.classList.add("lit");
  }
}
