"""The command ``twopass``: one small module a subcommand."""

from __future__ import annotations

from pipeline.cli.app import main

__all__ = ["main"]
