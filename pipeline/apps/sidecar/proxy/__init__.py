"""``_search`` in front of Elasticsearch: its own body in, its own shape out, reranked.

::

    proxy.py        Proxy: what is open, keys, errors; _search
    msearch.py      _msearch
    exchange.py     one request: which part of the API it is for; what is passed on unchanged
    upstream.py     the connections to the search engine
    messages.py     headers that are passed on, bodies, answers in Elasticsearch's shape
    window.py       rescore.neural; a search -> the search for its window of candidates
    obstacles.py    why a search cannot be reranked
    texts.py        the words of a query, the text of a hit
    rescorer.py     the second stage, failing open
    answers.py      the window -> the caller's page; metrics and timings
"""

from __future__ import annotations
