from __future__ import annotations

import pytest

from twopass.reranker.training import PublishError, push


def test_a_hub_out_of_reach(tiny):
    with pytest.raises(PublishError, match=r"http://127.0.0.1:9, found: .*hf upload me/mine"):
        push(tiny("bert"), "me/mine", endpoint="http://127.0.0.1:9", token="none")


def test_nothing_to_publish(tmp_path):
    with pytest.raises(PublishError, match=r"found no model.safetensors"):
        push(tmp_path, "me/mine")
