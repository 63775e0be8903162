"""Model families, one file each: the only place that knows their weights, sizes and heads."""
