// Documents as list items: text with marks, and a bar for each stage's score.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const NAMES = { first: "first stage", second: "cross-encoder", fused: "fused" };

// One bar a score, as long as the score's place between the column's least and greatest.
export function bars(scales, place, kinds) {
  return element("div", { class: "bars" }, ...kinds.map((kind) => {
    const column = scales[kind], score = column[place];
    const scores = column.filter((value) => value !== null);
    const least = Math.min(0, ...scores), most = Math.max(...scores);
    const fill = element("i");
    const share = score === null || most === least ? 0 : (score - least) / (most - least);
    fill.style.width = `${100 * share}%`;
    const text = score === null ? "–" : score.toFixed(Math.abs(score) < 10 ? 2 : 1);
    return element(
      "div", { class: `bar ${kind}`, title: `${NAMES[kind]}: ${score ?? "not scored"}` },
      element("div", {}, fill), element("span", {}, text),
    );
  }));
}

export function documentItem(hit, { rank, before, relevant, scores }) {
  const { title, text } = parts(hit);
  const place = element("div", { class: "rank" }, String(rank), ...moved(rank, before));
  const body = element("div", {}, element("div", { class: "title" }, title || hit.id), text);
  return element(
    "li",
    {
      class: relevant ? "document relevant" : "document", tabindex: "0", "data-id": hit.id,
      "aria-expanded": "false", "aria-label": `${rank}: ${title || hit.id}`,
    },
    place, body, scores,
  );
}

function moved(rank, before) {
  if (before === undefined) return [];
  const step = before - rank, kind = step > 0 ? "up" : step < 0 ? "down" : "same";
  const sign = { up: `↑ ${step}`, down: `↓ ${-step}`, same: "=" }[kind];
  return [element("span", { class: `moved ${kind}`, title: `was ${before}` }, sign)];
}

// The first line is the title where the document has one. Folded up, a document shows the fragments
// that match; opened, its whole text. Marks are the first stage's terms, the passage is the one that
// won in the second.
function parts(hit) {
  const text = hit.text, end = text.indexOf("\n");
  const start = end > 0 && end < 200 ? end + 1 : 0;
  const terms = matches(hit);
  const passage = hit.evidence ? [[hit.evidence.start, hit.evidence.end]] : [];
  const shown = fragments(hit, start);
  return {
    title: text.slice(0, Math.max(0, start - 1)),
    text: element(
      "div", {},
      element("div", { class: "text folded" }, ...shown.flatMap(([from, to], number) => [
        ...(number || from > start ? ["… "] : []), ...marked(text, from, to, terms, passage),
      ])),
      element("div", { class: "text whole" }, ...marked(text, start, text.length, terms, passage)),
    ),
  };
}

// The server's fragments are HTML with <em> around what matches; they are read, never inserted.
const parser = new DOMParser();

// Once a hit, however often it is drawn.
const known = new WeakMap();

function located(hit) {
  if (!known.has(hit)) known.set(hit, found(hit));
  return known.get(hit);
}

function found(hit) {
  return (hit.highlights ?? []).map((html) => {
    const body = parser.parseFromString(html, "text/html").body;
    return { body, from: hit.text.indexOf(body.textContent) };
  }).filter(({ from }) => from >= 0);
}

function fragments(hit, start) {
  const spans = located(hit)
    .map(({ body, from }) => [Math.max(from, start), from + body.textContent.length])
    .filter(([from, to]) => from < to).sort((a, b) => a[0] - b[0]);
  return spans.length ? spans : [[start, Math.min(hit.text.length, start + 300)]];
}

function matches(hit) {
  return located(hit).flatMap(({ body, from }) => {
    let at = from;
    return [...body.childNodes].flatMap((node) => {
      const span = [at, at + node.textContent.length];
      at = span[1];
      return node.nodeName === "EM" ? [span] : [];
    });
  });
}

function marked(text, from, to, terms, passage) {
  const cuts = new Set([from, to, ...terms.flat(), ...passage.flat()]);
  const borders = [...cuts].filter((at) => at >= from && at <= to).sort((a, b) => a - b);
  const inside = (spans, at) => spans.some((span) => span[0] <= at && at < span[1]);
  return borders.slice(0, -1).map((at, number) => {
    let node = document.createTextNode(text.slice(at, borders[number + 1]));
    if (inside(terms, at)) node = element("mark", {}, node);
    return inside(passage, at) ? element("span", { class: "passage" }, node) : node;
  });
}
