"""Makes ``tables.npz``, which the tokenizers run on.

``python -m twopass.retriever.analysis.generation``.

The word breaks are those of Unicode Standard Annex #29, arranged as Lucene's StandardTokenizer
does: runs without a letter, digit or emoji are dropped, Han and Hiragana come one by one, runs of
Thai, Lao, Khmer and Burmese stay whole, and emoji sequences follow UTS #51. The rules are written
as a regular grammar over sets of characters, which is compiled into a minimal deterministic
automaton and a table of character classes. Properties come from the ``regex`` package, case
mappings and general categories from the running Python.
"""

from __future__ import annotations

from twopass.retriever.analysis.generation.grammar import arrays

__all__ = ["arrays"]
