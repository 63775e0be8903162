"""Documents' token ids, computed when they are indexed: a query then only tokenises itself.

The ids of a tokeniser stand in a folder of its own, named by its fingerprint, beside those of
others; what a text's ids are is the tokeniser's own word, so that scores are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from reranker.text_rows import TextRows

__all__ = ["find_tokens", "fingerprint", "refresh_tokens", "store_tokens"]

_TEXTS_AT_ONCE = 1024
_TEXTS_A_SEGMENT = 65536
_TOKENIZER = "tokenizer.json"


def fingerprint(tokenizer: Tokenizer) -> str:
    """Return what tells a tokeniser from others; what it truncates or pads does not count."""
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    return blake2b(plain.to_str().encode(), digest_size=8).hexdigest()


def find_tokens(folder: Path, tokenizer: Tokenizer) -> TextRows | None:
    """Open the ids of this tokeniser in the folder, or None where there are none.

    Raises:
        TextRowsError: when they cannot be read.

    """
    own = folder / fingerprint(tokenizer)
    return TextRows(own) if own.is_dir() else None


def store_tokens(
    folder: Path,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    *,
    model: str = "",
    done: Callable[[int], None] = lambda _: None,
) -> TextRows:
    """Compute and store the ids of the texts that have none yet.

    Args:
        folder: where ids of several tokenisers may stand.
        tokenizer: whose ids.
        texts: any number; they are read as a stream.
        model: whose tokeniser it is, written down for people.
        done: told now and then how many texts were looked at.

    Raises:
        TextRowsError: when the folder cannot be read or written.

    """
    own = folder / fingerprint(tokenizer)
    dtype = "uint16" if tokenizer.get_vocab_size() <= 2**16 else "int32"
    rows = TextRows.create(own, dtype, model=model)
    if not (own / _TOKENIZER).is_file():
        tokenizer.save(str(own / _TOKENIZER))
    seen = 0
    for part in _parts(texts, _TEXTS_A_SEGMENT):
        new = rows.missing(part)
        rows.add(
            new, [row for some in _parts(new, _TEXTS_AT_ONCE) for row in _ids(tokenizer, some)]
        )
        seen += len(part)
        done(seen)
    return rows


def refresh_tokens(
    folder: Path, texts: Callable[[], Iterable[str]], done: Callable[[int], None] = lambda _: None
) -> None:
    """Add, for each tokeniser whose ids are in the folder, those of the texts that have none."""
    for own in sorted(folder.glob(f"*/{_TOKENIZER}")):
        store_tokens(folder, Tokenizer.from_file(str(own)), texts(), done=done)


def _ids(tokenizer: Tokenizer, texts: list[str]) -> Iterator[np.ndarray]:
    for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
        yield np.array(encoding.ids, dtype=np.int32)


def _parts(items: Iterable[str], size: int) -> Iterator[list[str]]:
    source = iter(items)
    while part := list(islice(source, size)):
        yield part
