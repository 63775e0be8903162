"""Models on disk: where they are, what their folders say, and their weights."""
