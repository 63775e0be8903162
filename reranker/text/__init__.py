"""Text -> token ids: tokenisers, pair templates, encoding, stored tokens."""
