"""The rooms of the house, and which way the arrows between them may point."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "refquant"

# Higher rooms may import lower ones, never the other way round; rooms on one line are neighbours
# and may not import each other unless they are the same room.
FLOORS = (
    ("__main__",),
    ("cli", "pytest_plugin", "strategies"),
    ("oracle",),
    ("bench", "compare"),
    ("study",),
    ("sweeps",),
    ("memory", "subjects"),
    ("pipeline",),
    ("result",),
    ("report",),
    ("deploy", "reconstruct"),
    ("inputs", "progress", "methods", "metrics", "rows", "statistics", "workers"),
    ("components",),
    ("calibrate", "losses", "optimal", "optim", "redistribute"),
    ("zoo",),
    ("network",),
    ("_bundle", "storage"),
    ("kernels",),
    ("layers", "quantizers"),
    ("numerics",),
    ("_checks",),
    ("_pieces",),
    ("_fields", "_types"),
)
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    """Return the room of a dotted module name, "" for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> list[str]:
    """Return the dotted names a file imports, with the names taken from packages resolved."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "refquant"
            found += [f"{node.module}.{a.name}" if whole else node.module for a in node.names]
    return found


def files() -> list[Path]:
    """Return all modules of the package but its front page."""
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def not_downwards(room: str, names: list[str]) -> list[str]:
    """Return the modules of ours among `names` that a file in `room` may not import."""
    found = []
    for name in names:
        other = room_of(name)
        inside = name.startswith("refquant.") and other not in ("__version__", room)
        if inside and (other not in FLOOR or FLOOR[other] <= FLOOR[room]):
            found.append(name)
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_downwards(path: Path) -> None:
    """A room imports only from rooms below it."""
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert room in FLOOR, f"room {room!r} has no floor in the table"
    assert not_downwards(room, imports(path)) == []


@pytest.mark.parametrize(
    "path",
    sorted((PACKAGE / "oracle" / "exact").glob("*.py")),
    ids=lambda path: path.stem,
)
def test_exact_twins_import_the_standard_library_only(path: Path) -> None:
    """A twin that shared code with the library could share its bugs."""
    for name in imports(path):
        top = name.partition(".")[0]
        own = name.startswith("refquant.oracle.exact")
        assert own or top in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_the_check_finds_arrows_that_point_up() -> None:
    """Upwards, sideways and to a room that the table does not know; downwards is fine."""
    names = ["refquant.cli.main", "refquant.quantizers.grid", "refquant.attic", "refquant.numerics"]
    assert not_downwards("layers", [*names, "numpy", "refquant.layers.relu"]) == names[:3]


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    """At the top, inside functions, and names taken from the package itself."""
    file = tmp_path / "module.py"
    file.write_text(
        "import os\nfrom refquant import zoo\ndef f():\n    from refquant.cli import main\n"
    )
    assert sorted(imports(file)) == ["os", "refquant.cli", "refquant.zoo"]


def test_importing_refquant_leaves_optional_packages_alone() -> None:
    """tqdm is imported by the first progress bar, matplotlib and the test tools never."""
    import subprocess

    late = {"tqdm", "matplotlib", "hypothesis", "mpmath"}
    code = f"import sys, refquant; print(sorted({late} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
