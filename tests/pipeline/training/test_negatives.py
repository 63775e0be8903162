from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from twopass.pipeline.apps.settings.train import NegativeSettings
from twopass.pipeline.errors import TrainingDataError
from twopass.pipeline.training import Collection, find_leaks, mine_negatives, score_with_teachers
from twopass.pipeline.training.negatives import keep_within
from twopass.reranker.training import Example
from twopass.retriever.index.index import BM25Index


@pytest.fixture
def collection(towns):
    return Collection.read(towns, "train")


@pytest.fixture
def index(collection):
    return BM25Index.build(collection.documents)


def test_negatives_are_hits_that_nobody_judged_relevant(collection, index):
    settings = NegativeSettings(number=4, random=0, depth=10)
    mined = mine_negatives(index, collection, settings, seed=1)
    texts = {document.contents: document.id for document in collection.documents}
    assert len(mined.examples) == 16
    for example, (query, grades) in zip(mined.examples, collection.qrels.items(), strict=True):
        first, *others = [texts[passage] for passage in example.passages]
        assert example.query == collection.queries[query]
        assert first in grades
        assert not set(others) & set(grades)
        hits = index.search([example.query], 10)[0].ids.tolist()
        assert set(others) <= set(hits)
        assert len(set(others)) == 4
    assert mined.missed == 0


def test_one_seed_gives_the_same_and_another_gives_others(collection, index):
    settings = NegativeSettings(number=4, depth=20)
    one, same, other = (
        mine_negatives(index, collection, settings, seed).examples for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_the_best_hits_are_skipped(collection, index):
    settings = NegativeSettings(number=3, random=0, depth=3, skip=5, draw="top")
    texts = {document.id: document.contents for document in collection.documents}
    for example in mine_negatives(index, collection, settings, seed=1).examples:
        hits = [texts[id] for id in index.search([example.query], 8)[0].ids]
        assert set(example.passages[1:]) <= {*hits[5:], *texts.values()} - set(hits[:5])


def test_no_negative_scores_as_high_as_the_margin_allows(collection, index):
    settings = NegativeSettings(number=3, random=0, depth=30, margin=0.5)
    for example in mine_negatives(index, collection, settings, seed=1).examples:
        [hits] = index.search([example.query], 30)
        scores = dict(zip(hits.texts, hits.scores, strict=True))
        ceiling = 0.5 * scores[example.passages[0]]
        assert all(scores.get(p, 0.0) <= ceiling for p in example.passages[1:])


def test_the_share_of_positives_of_the_card(collection, index):
    settings = NegativeSettings(positives=0.17)
    examples = mine_negatives(index, collection, settings, seed=1).examples
    pairs = sum(len(e.passages) for e in examples)
    assert sum(e.positives for e in examples) / pairs == pytest.approx(0.17, abs=0.005)


def test_good_ranks_are_drawn_more_often(collection, index):
    settings = NegativeSettings(number=1, random=0, depth=20)
    counts: Counter[int] = Counter()
    for seed in range(12):
        for example in mine_negatives(index, collection, settings, seed).examples:
            texts = index.search([example.query], 20)[0].texts.tolist()
            counts[texts.index(example.passages[1])] += 1
    upper = sum(n for rank, n in counts.items() if rank < 10)
    assert upper > 0.6 * counts.total()


def test_a_share_is_part_of_a_larger_one(towns):
    ids = [
        {document.id for document in Collection.read(towns, "train", share=share).documents}
        for share in (0.3, 0.6, 1.0)
    ]
    assert ids[0] < ids[1] < ids[2]
    few = Collection.read(towns, "train", queries=5)
    assert set(few.queries) < set(Collection.read(towns, "train", queries=9).queries)


def test_nothing_judged(towns):
    path = towns / "qrels" / "none.tsv"
    path.write_text("query-id\tcorpus-id\tscore\nq1\tAldra-0\t0\n")
    with pytest.raises(TrainingDataError, match="expected queries with a relevant document"):
        Collection.read(towns, "none")


def test_leaks_are_found_and_left_out(towns):
    dev = Collection.read(towns, "dev")
    relevant = dev.documents[[d.id for d in dev.documents].index("Keldon-0")].contents
    clean = Example("what is a harbour", ("a place", relevant), (1.0, 0.0))
    same_query = Example(next(iter(dev.queries.values())).upper(), ("x", "y"), (1.0, 0.0))
    same_passage = Example("another", (relevant.replace("\n", "  "), "y"), (1.0, 0.0))
    leaks = find_leaks([clean, same_query, same_passage], [dev])
    assert (len(leaks.queries), len(leaks.passages), len(leaks.seen)) == (1, 1, 1)
    assert leaks.without([clean, same_query, same_passage]) == [clean]
    assert not find_leaks([clean], [dev])
    assert "share 1 queries, 1 passages relevant in both" in leaks.account()


class Lengths:
    """A teacher: the longer the passage, the better."""

    def __init__(self, unit: float) -> None:
        self.unit = unit

    def predict(self, pairs):
        return np.array([self.unit * len(passage) for _, passage in pairs], np.float32)


def test_teachers_of_any_unit_count_the_same():
    examples = [
        Example("q", ("a", "bbb", "cc"), (1.0, 0.0, 0.0)),
        Example("r", ("dddd", "e"), (1, 0)),
    ]
    one = score_with_teachers(examples, [Lengths(1)])
    two = score_with_teachers(examples, [Lengths(100), Lengths(0.01)])
    assert two.spreads[0] / two.spreads[1] == pytest.approx(10_000)
    for a, b in zip(one.examples, two.examples, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-4)
    np.testing.assert_allclose(
        np.diff(one.examples[0].scores), np.array([2, -1]) / one.spreads[0], atol=1e-4
    )


def test_what_the_teacher_takes_for_relevant_is_left_out():
    example = Example("q", ("a", "b", "c"), (1.0, 0.0, 0.0), (2.0, 1.8, 1.0))
    [kept], dropped = keep_within([example], 0.5)
    assert (kept.passages, kept.scores, dropped) == (("a", "c"), (2.0, 1.0), 1)
    without = replace(example, scores=())
    assert keep_within([without], 0.5) == ([without], 0)
