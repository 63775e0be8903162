// The fusions of pipeline/fusion that the page offers, on the columns that the server sent: nothing
// is scored again. Columns are arrays of numbers: the first stage's, that of what chose in a cascade
// where there is one, the second stage's, null where it did not score. A result of null is "no
// score": it stays below all others, in the order of what chose, or else in the first stage's.

const real = (column) => column.filter((score) => score !== null);

// (s - min) / (max - min); 1 where all are equal
function minMax(column) {
  const scores = real(column), least = Math.min(...scores), most = Math.max(...scores);
  return (score) => (most === least ? 1 : (score - least) / (most - least));
}

// (s - mean) / sd; 0 where all are equal
function zScore(column) {
  const scores = real(column);
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length;
  const constant = Math.min(...scores) === Math.max(...scores);
  return (score) => (constant ? 0 : (score - mean) / Math.sqrt(variance));
}

// Places from 1, best first; equal scores in the first stage's order.
export function ranks(column) {
  const places = column.map((_, place) => place).filter((place) => column[place] !== null);
  places.sort((a, b) => column[b] - column[a] || a - b);
  const result = column.map(() => null);
  places.forEach((place, rank) => { result[place] = rank + 1; });
  return result;
}

// 1 - (r - 1) / N
function byRank(column) {
  const count = real(column).length;
  return ranks(column).map((rank) => (rank === null ? null : 1 - (rank - 1) / count));
}

function normalized(column, kind) {
  if (kind === "rank") return byRank(column);
  const scaled = (kind === "z-score" ? zScore : minMax)(column);
  return column.map((score) => (score === null ? null : scaled(score)));
}

// What stands before the second stage shares the rest of the weight evenly.
function weighted(columns, { weight, normalizer }) {
  const rest = (1 - weight) / (columns.length - 1);
  const parts = columns.map((column, number) =>
    [number === columns.length - 1 ? weight : rest, normalized(column, normalizer)])
    .filter(([share]) => share > 0);
  return columns[0].map((_, place) => parts.reduce(
    (sum, [share, column]) =>
      sum === null || column[place] === null ? null : sum + share * column[place],
    0,
  ));
}

// sum of 1 / (60 + r); a list that lacks the document adds nothing
function rrf(columns) {
  const places = columns.map(ranks);
  return columns[0].map((_, place) => places.reduce(
    (sum, column) => sum + (column[place] === null ? 0 : 1 / (60 + column[place])),
    0,
  ));
}

const METHODS = {
  weighted,
  rrf,
  reranker: (columns) => [...columns.at(-1)],
};

// Only what the second stage scored is fused, as the server does: the rest is null. Rounded to
// single precision, as the server's, so that ties are the same ties.
export function fuse(columns, settings) {
  const [first, second] = [columns[0], columns.at(-1)];
  if (settings.method === "first" || second.every((score) => score === null)) return [...first];
  const read = second.map((_, place) => place).filter((place) => second[place] !== null);
  const parts = columns.map((column) => read.map((place) => column[place]));
  const result = second.map(() => null);
  METHODS[settings.method](parts, settings)
    .forEach((score, number) => {
      result[read[number]] = score === null ? null : Math.fround(score);
    });
  return result;
}

// The order that fused scores make: one stable sort, "no score" last, by what chose if there is such.
export function order(fused, chooser) {
  const places = fused.map((_, place) => place);
  const compared = (column, a, b) => {
    const [left, right] = [column[a] ?? -Infinity, column[b] ?? -Infinity];
    return left === right ? 0 : right - left;
  };
  const unread = (a, b) => (chooser && fused[a] === null && fused[b] === null
    ? compared(chooser, a, b) : 0);
  return places.sort((a, b) => compared(fused, a, b) || unread(a, b) || a - b);
}

// nDCG@k with linear gains, as trec_eval has it.
export function ndcg(ids, grades, k = 10) {
  const gain = (values) => values.slice(0, k)
    .reduce((sum, grade, place) => sum + Math.max(grade, 0) / Math.log2(place + 2), 0);
  const ideal = gain(Object.values(grades).sort((a, b) => b - a));
  return ideal === 0 ? null : gain(ids.map((id) => grades[id] ?? 0)) / ideal;
}
