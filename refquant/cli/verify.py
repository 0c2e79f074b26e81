"""``refquant verify``: hold a backend against the frozen corpus, and name what is wrong."""

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from refquant._checks import complaint
from refquant.cli.arguments import add_command, add_quiet, add_timeout
from refquant.cli.output import note, print_json, show

EPILOG = """\
backends:
  pkg.mod:attr    a Python object with name and run(op, inputs, attrs) -> {output: array};
                  dtype = "float32" says in which arithmetic, profile which dialect it speaks
  cmd:./program   run as `./program VECTORS RESULTS`; reads VECTORS as `refquant vectors`
                  writes them, and writes RESULTS/OP/ID/OUTPUT.npy
  dir:RESULTS     the same results, written elsewhere from `refquant vectors DIR`
  Programs and directories may say RESULTS/backend.json: {"name", "dtype", "profile"}.
  What a profile declares holds whatever attribute a case has; a case of another dialect counts
  where its golden is the same in the one declared, and only there. A program that heeds
  attributes is asked with what it declares by `refquant vectors DIR --for backend.json`.
  A program that hangs or dies is run again on fewer cases, until the case is found; only what
  a run with exit code 0 wrote is read.

xfails, of which every entry must still explain a failure:
  [[xfail]]
  case = "fake_quant/*"
  reason = "ties away from zero until the next firmware"

exit codes:
  0 right   1 something is wrong   4 usage   5 nothing ran

examples:
  refquant verify mykernels:Backend
  refquant verify mykernels:Backend --only 'fake_quant*' --tier full --shrink
  refquant verify cmd:./kernel --html report.html --junit report.xml
  refquant verify cmd:./emulator --timeout 3600   a slow one: an hour for a case
  refquant verify dir:results --vectors vectors
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "verify",
        help="hold a backend against the goldens and name its bugs",
        description="Runs a backend on the frozen corpus and says what is wrong, by name.",
        epilog=EPILOG,
    )
    add_quiet(parser)
    add_timeout(parser)
    parser.add_argument("backend", nargs="?", metavar="BACKEND", help="see below")
    parser.add_argument(
        "--only",
        default="*",
        metavar="OPS",
        help="ops or patterns, with commas (default: %(default)s)",
    )
    parser.add_argument(
        "--tier", choices=("smoke", "quick", "full"), default="quick", help="(default: %(default)s)"
    )
    parser.add_argument("--repro", metavar="CASE", help="run one case, OP/ID, and shrink it")
    parser.add_argument(
        "--shrink",
        action="store_true",
        help="of each op, show a failing case made as small as possible too (seconds an op)",
    )
    parser.add_argument("--vectors", metavar="DIR", help="goldens of a directory")
    parser.add_argument(
        "--xfails", metavar="FILE", help="TOML: known failures and their reasons, see below"
    )
    parser.add_argument("--html", metavar="FILE", help="write the report as one page")
    parser.add_argument("--junit", metavar="FILE", help="write the report as JUnit XML")
    parser.add_argument(
        "--list",
        action="store_true",
        help="print the ops and stop (more: refquant explain OP)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, print the report, and return its exit code."""
    from refquant import oracle
    from refquant.oracle.shrink_failures import check_asked_again, shrink_failures

    if arguments.list:
        return _list(arguments.json)
    if not arguments.backend:
        raise ValueError("verify: no BACKEND; name mod:attr, cmd:PROGRAM or dir:RESULTS.")
    sys.path.insert(0, "")  # as `python -m` does: the user's module lies where the user stands
    for option in ("html", "junit"):
        _check_place(f"--{option}", getattr(arguments, option))
    if arguments.repro:
        return _repro(arguments)
    if arguments.shrink:
        check_asked_again(arguments.backend)
    tick = None if arguments.quiet or not sys.stderr.isatty() else _tick
    xfails = oracle.read_expected(Path(arguments.xfails)) if arguments.xfails else None
    with redirect_stdout(sys.stderr):  # what a backend prints is no part of the report
        report = oracle.verify(
            arguments.backend,
            arguments.tier,
            arguments.only,
            cases=_cases(arguments.vectors),
            xfails=xfails,
            progress=tick,
            timeout=arguments.timeout,
        )
        if arguments.shrink:
            report = shrink_failures(report, arguments.backend, arguments.timeout, tick)
    for path, text in ((arguments.html, report.to_html), (arguments.junit, report.to_junit)):
        if path:
            Path(path).write_text(text(), encoding="utf-8")
    if arguments.json:
        print_json(report.to_json())
    else:
        show(report.to_text())
    return report.exit_code


def _check_place(option: str, path: str | None) -> None:
    """Refuse a file that cannot be written, before hours of somebody's kernels have run."""
    if path and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
        got, expected = repr(path), "a file in a directory that exists"
        raise ValueError(complaint("verify", option, got, expected))


def _cases(directory: str | None) -> Any:
    from refquant.oracle.vectors_read import read_vectors

    return read_vectors(Path(directory)) if directory else None


def _tick(op: str) -> None:
    note(f"  {op}")


def _list(as_json: bool) -> int:
    from refquant import oracle

    lines = {name: op.says for name, op in oracle.ops().items()}
    if as_json:
        print_json(lines)
    else:
        width = max(map(len, lines))
        show("\n".join(f"{name.ljust(width)}  {says}" for name, says in lines.items()))
    return 0


def _repro(arguments: argparse.Namespace) -> int:
    from refquant import oracle
    from refquant.oracle import corpus
    from refquant.oracle.report import NOTHING
    from refquant.oracle.shrink import reproduce

    item = corpus.find(arguments.repro)
    try:
        with redirect_stdout(sys.stderr):
            found = reproduce(arguments.backend, item, arguments.timeout)
    except oracle.Unsupported as reason:
        note(f"{arguments.repro}: not supported: {reason}".removesuffix(": "))
        return NOTHING
    if arguments.json:
        print_json(found.to_json())
    else:
        show(found.to_text())
    return found.exit_code
