"""Scorers, and wrappers of scorers.

Batching, cache, calibration, passages, remote, fallback, cascade.
"""
