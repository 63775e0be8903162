"""A small real collection that ships, in BEIR's layout; see README.md beside this file."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FOLDER"]

FOLDER = Path(__file__).parent
"""The folder with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/test.tsv``."""
