"""Methods: one short file each, and the catalogue that everything else reads.

Adding a method is one file and one line here; the README table, the command line, `describe` and
the laws that hold for every method pick it up.
"""

from collections.abc import Mapping
from types import MappingProxyType

from refquant._checks import check_in, complaint
from refquant.methods.adaqtransform import ADAQTRANSFORM
from refquant.methods.adaround import ADAROUND, ADAROUND_AMCT
from refquant.methods.aquant import AQUANT, AQUANT_RECOMMENDED
from refquant.methods.brecq import BRECQ
from refquant.methods.describe import describe
from refquant.methods.lsq import LSQ
from refquant.methods.nearest import NEAREST
from refquant.methods.nwq import NWQ
from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Learn, Mix, Penalty, Phase, Setting, Term

CATALOGUE = (
    NEAREST,
    ADAROUND,
    ADAROUND_AMCT,
    LSQ,
    BRECQ,
    QDROP,
    NWQ,
    AQUANT,
    AQUANT_RECOMMENDED,
    ADAQTRANSFORM,
)
METHODS: Mapping[str, Setting] = MappingProxyType({setting.name: setting for setting in CATALOGUE})


def resolve(method: str | Setting) -> Setting:
    """Return the setting called `method`, or `method` itself if it is a setting.

    Raises
    ------
    ValueError
        If no method has that name; the message gives the nearest one.
    TypeError
        If `method` is neither a name nor a setting.
    """
    if isinstance(method, Setting):
        return method
    if not isinstance(method, str):
        got = type(method).__name__
        raise TypeError(complaint("resolve", "method", got, "a name or a Setting"))
    return METHODS[check_in("resolve", "method", method, METHODS)]


__all__ = [
    "METHODS",
    "Learn",
    "Mix",
    "Penalty",
    "Phase",
    "Setting",
    "Term",
    "describe",
    "resolve",
]
