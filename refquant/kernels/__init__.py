"""Fused kernels: the same mathematics as the readable definitions, arranged for the machine.

Everything here has a definition elsewhere that comes first and stays: a kernel is a second
implementation of it, tested against it, and used in its place in fast arithmetic; in pinned too
where it takes what IEEE 754 leaves open from `refquant.numerics`, and says so. Buffers are made
once, by the caller or at the start of a loop, and written in place (``out=``); nothing grows with
the number of samples. Arguments are checked by the caller.
"""
