"""``_search`` in front of Elasticsearch: its own body in, its own shape out, reranked.

::

    proxy.py        Proxy: what is open, keys, errors
    targets.py      which part of the API a path means
    single.py       _search          multiple.py    _msearch
    exchange.py     one request: what goes on unchanged, in both directions
    upstream.py     the connections  headers.py     which headers go on
    bodies.py       reading bodies   shapes.py      answers in Elasticsearch's shape
    neural.py       rescore.neural   queries.py     what a query asks, in words
    obstacles.py    why a search cannot be reranked
    window.py       a search -> the search for its window of candidates
    texts.py        what is read of a hit
    rescoring.py    the second stage, failing open
    pages.py        the window -> the page that was asked for
    outcomes.py     metrics and timings
"""

from __future__ import annotations
