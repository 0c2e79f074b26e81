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
    ("cli",),
    ("compare",),
    ("study",),
    ("sweep",),
    ("pipeline",),
    ("result",),
    ("deploy", "reconstruct"),
    ("progress", "methods", "metrics", "rows", "statistics", "workers"),
    ("components",),
    ("calibrate", "losses", "optimal", "optim", "redistribute"),
    ("zoo",),
    ("network",),
    ("_bundle",),
    ("layers", "quantizers"),
    ("numerics",),
    ("_checks", "_types"),
)
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
# Downward in the table above, upward in fact: none. Sideways: result reads both.
ALLOWED_SIDEWAYS = {("_checks", "_types")}


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


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_downwards(path: Path) -> None:
    """A room imports only from rooms below it; the oracle's exact twins import nothing of ours."""
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        if not name.startswith("refquant."):
            continue
        other = room_of(name)
        if other in ("__version__", room) or room == "oracle":
            continue
        assert other in FLOOR, f"{path}: room {other!r} has no floor in the table"
        below = FLOOR[other] > FLOOR[room] or (room, other) in ALLOWED_SIDEWAYS
        assert below, f"{path.relative_to(ROOT)} imports {name}: {room} may not look up at {other}"


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


def test_the_check_finds_an_arrow_that_points_up() -> None:
    """The rule is not empty: numerics looking at cli would be refused."""
    assert FLOOR["cli"] < FLOOR["numerics"]
    assert imports(PACKAGE / "pipeline.py").count("refquant.methods") > 0


def test_importing_refquant_leaves_optional_packages_alone() -> None:
    """tqdm is imported by the first progress bar, matplotlib and the test tools never."""
    import subprocess

    late = {"tqdm", "matplotlib", "hypothesis", "mpmath"}
    code = f"import sys, refquant; print(sorted({late} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
