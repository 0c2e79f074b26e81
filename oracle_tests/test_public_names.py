"""The front page: public names are there, lazily, and are what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

import refquant as rq

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", [*rq.ROOMS, *rq.HOMES])
def test_every_public_name_can_be_had(name: str) -> None:
    """And dir() lists it before it was used."""
    assert getattr(rq, name) is not None
    assert name in dir(rq)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for any module, so that hasattr works."""
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        getattr(rq, "quantise")  # noqa: B009
    assert not hasattr(rq, "quantise")


def test_importing_refquant_imports_neither_numpy_nor_itself() -> None:
    """The pytest plugin is loaded into other people's test runs."""
    code = (
        "import sys, refquant; heavy = [n for n in sys.modules if n.startswith('refquant.')];"
        "print(heavy + sorted({'numpy', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_names_survive_the_import_of_modules_beside_them() -> None:
    """A module that is imported becomes an attribute; none may hide a public function."""
    from importlib import import_module

    for name in rq.HOMES:
        before = getattr(rq, name)
        for home in set(rq.HOMES.values()):
            import_module(home)
        assert getattr(rq, name) is before
