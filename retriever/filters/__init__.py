"""Metadata filters: what they mean, and how they are written as JSON."""
