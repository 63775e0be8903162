"""Where each token of a batch stands in its row, as models of BERT's kind count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.tokens import TokenRows

__all__ = ["places"]


def places(batch: TokenRows, pad_id: int | None) -> NDArray[np.int64]:
    """Return (t,) int64: each token's place.

    Args:
        batch: the rows.
        pad_id: the padding token's number where the model counts as RoBERTa does: from behind that
            number, without padding. A document may have the padding token in its text; it gets the
            padding's own place.

    """
    if pad_id is None:
        return np.arange(len(batch.ids)) - np.repeat(batch.offsets[:-1], batch.lengths)
    real = batch.ids != pad_id
    counted = np.cumsum(real)
    before = np.concatenate(([0], counted))[batch.offsets[:-1]]
    found: NDArray[np.int64] = (counted - np.repeat(before, batch.lengths)) * real + pad_id
    return found
