"""The sources of the compiled loops: numba's Python, imported when one has to be compiled.

They allocate nothing and raise nothing, so that their machine code stands alone; whoever calls
them brings all memory and checks what users give.
"""
