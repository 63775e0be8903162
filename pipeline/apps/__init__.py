"""Applications of the two stages.

Command line, HTTP sidecar, bulk runs, adapters, and the settings they share.
"""
