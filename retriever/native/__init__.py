"""Loops as machine code: numba compiles them once, every later process loads them without it.

numba takes most of a second to be imported and to load what it has cached, many times what a
search takes. So a loop is compiled to an object file that needs nothing of numba, which llvmlite
(on which numba is built) loads in some milliseconds. ``loops`` has the sources, ``function`` what
Python calls, ``compiler`` makes object files and ``machine_code`` keeps and links them.
"""
