"""``refquant vectors``: the goldens as a directory that any language can read."""

import argparse
from pathlib import Path
from shlex import quote
from typing import Any

from refquant.cli.arguments import add_command
from refquant.cli.output import note, print_json, show

EPILOG = """\
layout:
  DIR/manifest.json          every case: op, attributes, tensors, hashes; schema.json describes it
  DIR/OP/ID/case.txt         the same for programs without a JSON reader
  DIR/OP/ID/in.NAME.npy      inputs      DIR/OP/ID/out.NAME.npy   right outputs
  DIR/SHA256SUMS             for `sha256sum -c`

examples:
  refquant vectors vectors
  refquant vectors vectors --tier smoke --only 'fake_quant*,requant*'
  refquant vectors vectors --for backend.json    what a backend that says this is held to
  refquant vectors --list
  refquant vectors --check
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "vectors",
        help="write the goldens as .npy files",
        description="Writes the frozen goldens as a directory of .npy files and a manifest.",
        epilog=EPILOG,
    )
    parser.add_argument("directory", nargs="?", metavar="DIR", help="new, or empty")
    parser.add_argument(
        "--only",
        default="*",
        metavar="OPS",
        help="ops or patterns, with commas (default: %(default)s)",
    )
    parser.add_argument(
        "--tier", choices=("smoke", "quick", "full"), default="full", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--for",
        dest="about",
        metavar="FILE",
        help="a backend.json: cases for its dtype, with the attributes of its profile",
    )
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument(
        "--check",
        action="store_true",
        help="build every golden anew, in pinned arithmetic, and compare byte for byte",
    )
    parser.set_defaults(run=run)


def _check(as_json: bool) -> int:
    """Compare the frozen corpus with one that is built now; 1 if any byte differs."""
    from refquant.oracle import corpus
    from refquant.oracle.freeze import differing

    names = differing()
    if as_json:
        print_json({"ops": len(corpus.manifest()["ops"]), "differ": names})
    else:
        same = f"{len(corpus.manifest()['ops'])} ops: the same, byte for byte"
        show("\n".join(f"differs: {name}" for name in names) or same)
    return 1 if names else 0


def _for(path: Path, picked: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the cases, by op, that a backend is held to, as it is asked them."""
    from refquant.oracle.backend import Recorded, format_of
    from refquant.oracle.declared import spoken
    from refquant.oracle.profiles import resolve
    from refquant.oracle.registry import ops
    from refquant.oracle.results import read_about

    backend = Recorded(str(path), {}, read_about(path))
    form, fields = format_of(backend), resolve(backend.profile)
    return {
        name: list(spoken(ops()[name], items, fields, form).values())
        for name, items in picked.items()
    }


def run(arguments: argparse.Namespace) -> int:
    """Write the vectors, list the cases, or build them anew and compare."""
    if arguments.check:
        return _check(arguments.json)
    from refquant.oracle.vectors import write_vectors
    from refquant.oracle.verify import chosen

    picked = chosen(arguments.only, arguments.tier, caller="vectors")
    if arguments.about:
        picked = _for(Path(arguments.about), picked)
    cases = [item for items in picked.values() for item in items]
    if arguments.list:
        lines = [(f"{c.case.op}/{c.case.id}", c.case.tier, c.case.purpose) for c in cases]
        if arguments.json:
            print_json([{"case": c, "tier": tier, "purpose": p} for c, tier, p in lines])
        else:
            show("\n".join("  ".join(line) for line in lines))
        return 0
    if not arguments.directory:
        raise ValueError("vectors: no DIR; name a new directory, or give --list.")
    path = write_vectors(Path(arguments.directory), cases)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if arguments.json:
        print_json({"cases": len(cases), "bytes": size})
    else:
        show(f"{len(cases)} cases, {size} bytes")
        note(f"Next: refquant verify dir:RESULTS --vectors {quote(str(path))}")
    return 0
