"""The in-process BM25 index."""
