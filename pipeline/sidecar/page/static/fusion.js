// The fusions of pipeline/fusion that the page offers, on the columns that the server sent: nothing
// is scored again. Columns are arrays of numbers, null where the second stage did not score.
// A result of null is "no score": it stays below all others, in the first stage's order.

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

function weighted(first, second, { weight, normalizer }) {
  const parts = [[1 - weight, first], [weight, second]].filter(([share]) => share > 0)
    .map(([share, column]) => [share, normalized(column, normalizer)]);
  return first.map((_, place) => parts.reduce(
    (sum, [share, column]) =>
      sum === null || column[place] === null ? null : sum + share * column[place],
    0,
  ));
}

// sum of 1 / (60 + r); a list that lacks the document adds nothing
function rrf(first, second) {
  const places = [ranks(first), ranks(second)];
  return first.map((_, place) => places.reduce(
    (sum, column) => sum + (column[place] === null ? 0 : 1 / (60 + column[place])),
    0,
  ));
}

const METHODS = {
  weighted,
  rrf,
  reranker: (_, second) => [...second],
  first: (first) => [...first],
};

// Rounded to single precision, as the server's, so that ties are the same ties.
export function fuse(first, second, settings) {
  if (second.every((score) => score === null)) return [...first];
  const fused = METHODS[settings.method](first, second, settings);
  return fused.map((score) => (score === null ? null : Math.fround(score)));
}

// The order that fused scores make: one stable sort, "no score" last.
export function order(fused) {
  const places = fused.map((_, place) => place);
  return places.sort((a, b) => (fused[b] ?? -Infinity) - (fused[a] ?? -Infinity) || a - b);
}

// nDCG@k with linear gains, as trec_eval has it.
export function ndcg(ids, grades, k = 10) {
  const gain = (values) => values.slice(0, k)
    .reduce((sum, grade, place) => sum + Math.max(grade, 0) / Math.log2(place + 2), 0);
  const ideal = gain(Object.values(grades).sort((a, b) => b - a));
  return ideal === 0 ? null : gain(ids.map((id) => grades[id] ?? 0)) / ideal;
}
