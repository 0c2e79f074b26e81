"""What the loop can run, of all that a `Setting` can say.

A setting may describe a published method whose parts are not built yet. Running it without them
would give another method under its name, so it is refused.
"""

from refquant._checks import complaint
from refquant.methods.setting import Phase, Setting

# (field of the phase, field of its entries, what is built)
BUILT = (
    ("terms", "kind", ("lp",)),
    ("terms", "at", ("unit", "layers")),
    ("mix", "at", ("input", "quantizers")),
)


def check_built(setting: Setting) -> Setting:
    """Return `setting` if the loop can run all of it; a ValueError that names the part if not."""
    missing = [part for phase in setting.phases for part in _missing(phase)]
    if setting.finish:
        missing.append("finish")
    if missing:
        got = f"{setting.name!r}, which needs {', '.join(dict.fromkeys(missing))}"
        expected = "a setting whose parts are all built"
        fix = "Drop these parts, or choose one of refquant.METHODS."
        raise ValueError(complaint("quantize", "method", got, expected, fix))
    return setting


def _missing(phase: Phase) -> list[str]:
    found: list[str] = []
    for field, attribute, built in BUILT:
        for entry in getattr(phase, field):
            value = getattr(entry, attribute)
            if value not in built:
                found.append(f"{field} with {attribute}={value!r}")
    return found
