"""The HTTP service beside a search engine: rerank clients' dialects, search, operations.

::

    app.py          create_app: routers, middleware, lifespan
    service.py      Sidecar: what one process serves with; scoring for many callers
    routes.py       what every route does: key, body's limit, a client that leaves, errors
    problems.py     what went wrong, before any dialect words it
    dialects/       one module a rerank API
    search.py       both stages over the configured retriever
    operations.py   health, readiness, metrics
"""

from __future__ import annotations
