"""The catalogue: settings by name, and ``a+b`` for what one method adds to another.

Iterating lists the published methods alone; looking up finds compositions too, which are made on
the way. Nobody adds to it at run time.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from refquant._checks import check_in, complaint
from refquant.methods.compose import Adds, compose
from refquant.methods.setting import Setting


class Catalogue(Mapping[str, Setting]):
    """Settings by name, compositions included.

    Parameters
    ----------
    settings : tuple of Setting
        In the order they are listed; names are unique.
    additions : mapping of name to Adds
        What may stand behind a plus.
    """

    def __init__(self, settings: tuple[Setting, ...], additions: Mapping[str, Adds]) -> None:
        self._settings = MappingProxyType({setting.name: setting for setting in settings})
        self.additions = MappingProxyType(dict(additions))

    def __getitem__(self, name: str) -> Setting:
        try:
            return self.find(name)
        except ValueError as error:
            raise KeyError(name) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def find(self, name: str) -> Setting:
        """Return the setting called `name`, a name or ``a+b``.

        Raises
        ------
        ValueError
            If a part is unknown, with the nearest name, or the parts do not go together.
        """
        if name in self._settings:
            return self._settings[name]
        own = [known for known in self._settings if name.startswith(f"{known}+")]
        first = max(own, key=len, default=name.partition("+")[0])  # "lsq+" ends in a plus
        rest = name[len(first) + 1 :].split("+") if len(name) > len(first) else []
        if first in self.additions and first not in self._settings:
            got, fix = f"{first!r}, which is no method of its own", f"Write 'nearest+{first}'."
            raise ValueError(complaint("resolve", "method", got, "a method first", fix))
        setting = self._settings[check_in("resolve", "method", first, self._settings)]
        for part in rest:
            setting = compose(setting, part, self._addition(part))
        return setting

    def _addition(self, part: str) -> Adds:
        if part in self._settings and part not in self.additions:
            got = f"{part!r} behind a plus, where it adds nothing"
            expected = "one of " + ", ".join(map(repr, self.additions))
            fix = f"Put {part!r} first, as in '{part}+adaqtransform'."
            raise ValueError(complaint("resolve", "method", got, expected, fix))
        return self.additions[check_in("resolve", "the part behind a plus", part, self.additions)]
