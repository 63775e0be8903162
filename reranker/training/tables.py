"""Tables in Markdown, and texts that fit into their cells."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["cut", "table"]


def cut(text: str, characters: int = 120) -> str:
    """Return a text as one line of at most so many characters, fit for a cell."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
