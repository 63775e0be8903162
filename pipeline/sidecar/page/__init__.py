"""A page to look at a ranking: what moved, why, and at what cost. Plain modules, no build step."""
