"""Layers of different widths behind any method: ``qdrop+bit-allocation``.

Reference: Hubara et al., arXiv:2006.10518, section 3.3 (methods.md 8). A run at 4 bits then has
layers of 2 to 8, and no more bits in all; the first and the last keep theirs.
"""

from refquant.methods.allocation import BitAllocation
from refquant.methods.compose import Adds

BIT_ALLOCATION = Adds(reference="bit allocation, arXiv:2006.10518", allocate=BitAllocation())
