"""The oracle: frozen goldens, exact comparison, and the name of the bug.

    ops, reference        what the operations are; run one on your inputs
    verify                hold a backend against the corpus: a Report
    Backend, Unsupported  what an adapter is
    Expected              failures that are known

Imported on demand: ``import refquant`` leaves it alone.
"""

from refquant.oracle.backend import Backend, Unsupported
from refquant.oracle.expected import Expected, read_expected
from refquant.oracle.reference import reference
from refquant.oracle.registry import ops
from refquant.oracle.report import Report
from refquant.oracle.tiers import FORMATS
from refquant.oracle.verify import verify

__all__ = [
    "Backend",
    "FORMATS",
    "Expected",
    "Report",
    "Unsupported",
    "ops",
    "read_expected",
    "reference",
    "verify",
]
