"""How the documentation is built: ``sphinx-build -W docs OUT``, with the extra ``docs``."""

from importlib.metadata import version as installed

project = "twopass"
copyright = "the twopass authors, Apache-2.0"  # noqa: A001 - Sphinx's name
release = installed("twopass")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "twopass"
html_show_sphinx = False
