"""Scores from a service over HTTP: see ``reranker.remote.scorer``."""
