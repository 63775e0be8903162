from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def test_an_absent_collection_skips_a_test_and_fails_it_in_ci(
    data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="collection 'none-such' is not in"):
        data("none-such")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must test on real collections"):
        data("none-such")
