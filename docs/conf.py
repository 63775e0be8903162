"""How the documentation is built: ``sphinx-build -W docs OUT``, with the extra ``docs``."""

from importlib.metadata import version as installed

project = "twopass"
copyright = "the twopass authors, Apache-2.0"  # noqa: A001 - Sphinx's name
release = installed("twopass")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # docstrings name modules and types that have no page

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"Fusion": "Fusion", "Filter": "Filter", "Scoring": "Scoring"}
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False

html_theme = "furo"
html_title = "twopass"
html_show_sphinx = False
