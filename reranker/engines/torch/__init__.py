"""Engines of torch: padded batches, or all tokens of a batch as rows of one matrix."""
