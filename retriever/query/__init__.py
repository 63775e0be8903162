"""Queries: the language that users type, its analysis, and what a text shows of the match."""
