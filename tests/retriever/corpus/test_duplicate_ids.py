from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever.corpus.reader import SeenIds


@given(st.lists(st.text(max_size=3)))
def test_as_a_dict_would(ids: list[str]) -> None:
    seen, expected = SeenIds(), dict[str, int]()
    for number, id in enumerate(ids):
        assert seen.add(id, number) == expected.get(id)
        expected.setdefault(id, number)


def test_many_ids_survive_growth() -> None:
    seen = SeenIds()
    assert all(seen.add(f"doc-{number}", number) is None for number in range(20_000))
    assert all(seen.add(f"doc-{number}", 0) == number for number in range(20_000))
