"""What the loop can run, of all that a `Setting` can say.

A setting may describe a published method whose parts are not built yet. Running it without them
would give another method under its name, so it is refused.
"""

from refquant._checks import complaint
from refquant.methods.setting import Setting


def check_built(setting: Setting) -> Setting:
    """Return `setting` if the loop can run all of it; a ValueError that names the part if not.

    Weights are hardened into codes; activations are rounded whenever they are read, so there is
    nothing of theirs to harden.
    """
    if any("activations" in phase.harden for phase in setting.phases):
        got = f"{setting.name!r}, which needs harden with 'activations'"
        expected = "a setting whose parts are all built"
        fix = "Drop these parts, or choose one of refquant.METHODS."
        raise ValueError(complaint("quantize", "method", got, expected, fix))
    return setting
