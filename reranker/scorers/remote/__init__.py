"""Scores from a service over HTTP: see ``twopass.reranker.scorers.remote.scorer``."""
