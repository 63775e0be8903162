"""Rerank APIs that clients know, a module each; a new module here is found by itself.

The paths that are several dialects' at once, and what decides:

=============  ==================================  ==========================================
path           a request with                      is answered as by
=============  ==================================  ==========================================
``/rerank``    ``texts``                           TEI
``/rerank``    a field that only vLLM has          vLLM
``/rerank``    ``documents``                       Infinity, with documents unless not wanted
``/v1/rerank`` a field that only vLLM has          vLLM
``/v1/rerank`` ``return_documents``, ``rank_...``  Cohere v1 and Jina in one
``/v2/rerank`` a field that only vLLM has          vLLM
``/v2/rerank`` all others                          Cohere v2
=============  ==================================  ==========================================
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__, f"{__name__}."):  # in the order of their names
    import_module(_module.name)
