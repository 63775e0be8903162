"""The HTTP service beside a search engine: rerank clients' dialects, search, operations.

::

    app.py          create_app: routers, middleware, lifespan; health, readiness, metrics
    server.py       listening, workers
    service.py      Sidecar: what one process serves with; scoring for many callers
    routes.py       what every route does: key, body's limit, a client that disconnects, errors
    problems.py     what went wrong, before any dialect words it
    rerank.py       a rerank request, whatever its dialect
    dialects/       one module a rerank API
    search.py       both stages over the configured retriever
    page/           the page in a browser
    proxy/          _search in front of Elasticsearch
    models.py       the scorers that a request may name
    middleware.py   around every request: its id, a log line, its time, a span
    metrics.py, tracing.py, keys.py, cancellation.py
"""

from __future__ import annotations
