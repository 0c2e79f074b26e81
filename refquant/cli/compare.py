"""``refquant compare NETWORK...``: methods against each other on held-out images."""

import argparse
import shlex
import time
from itertools import chain
from pathlib import Path
from typing import Any

from refquant.cli.arguments import METHOD_LIST, NETWORKS, add_command, add_quiet, integer
from refquant.cli.compare_report import markdown, readable
from refquant.cli.env import environment
from refquant.cli.folders import check_apart, check_rows
from refquant.cli.networks import check_images
from refquant.cli.output import note, print_json, show
from refquant.cli.study_arguments import add_study
from refquant.compare import compare
from refquant.rows import Row
from refquant.study import Study, all_pairs, bits_name
from refquant.sweeps import Config, sweep

DESCRIPTION = """\
Quantizes every network by every method and judges pairs of methods on the held-out images: gains
in SQNR and KL of the logits, with bootstrap intervals over images, trained copies and seeds.

Exit code 1 if an integer-only network differs from its fake-quantized one.
"""
EPILOG = f"""\
{NETWORKS}  NAME:1..3 stands for three copies
{METHOD_LIST}
examples:
  refquant compare digits-resnet:1..3 --methods nearest,adaround,qdrop --steps 300 --out rows
  refquant compare digits-mlp:1..3 --bits W4A4,W2A2 --seeds 0,1 --steps 50 --json --quiet
  refquant compare digits-resnet:1..3 --steps 300 --out rows --report report.md
                                            (run it again after an interruption: it goes on)
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "compare",
        help="compare methods on held-out images, with intervals and verdicts",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add_study(parser)
    parser.add_argument("--out", metavar="DIR", help="keep finished rows there; resume from them")
    parser.add_argument("--report", metavar="FILE.md", help="write a Markdown report there")
    parser.add_argument(
        "--title",
        default="Comparison",
        metavar="TEXT",
        help="of the report (default: %(default)s)",
    )
    parser.add_argument("--note", metavar="TEXT", help="first words of the report")
    parser.add_argument("--workers", type=integer(1), metavar="N", help="processes (one a core)")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run what is missing, compare, print; 1 if an integer network differs from its fake one."""
    a = arguments
    plan = study(a)
    check_images(chain.from_iterable(a.networks))
    if a.out:
        check_rows("--out", a.out)
    if a.report:
        check_report(a.report, a.out)
    try:
        rows = _rows(plan.configs(), a)
    except KeyboardInterrupt:
        if a.out:
            note(f"finished rows are in {a.out}; the same command goes on from there")
        raise
    report = {
        **compare(plan, rows),
        "title": a.title,
        "note": a.note or "",
        "command": command(a, plan),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "environment": environment(),
    }
    if a.report:
        Path(a.report).write_text(markdown(report), encoding="utf-8")
        note(f"wrote {a.report}")
    if a.json:
        print_json(report)
    else:
        show(readable(report))
    return 0 if all(row["integer_equals_fake"] is not False for row in rows) else 1


def study(arguments: argparse.Namespace) -> Study:
    """Return the study that the arguments ask for.

    Raises
    ------
    ValueError
        If a network is named twice, or a pair names a method that is not compared.
    """
    a = arguments
    names = tuple(chosen.name for chosen in chain.from_iterable(a.networks))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"NETWORK {twice}: named twice (NAME alone is NAME:1).")
    pairs = all_pairs(a.methods) if a.pairs is None else a.pairs
    for name in chain.from_iterable(pairs):
        if name not in a.methods:
            raise ValueError(f"--pairs: {name!r} is not in --methods {','.join(a.methods)}.")
    return Study(
        networks=names,
        methods=a.methods,
        widths=a.bits,
        seeds=a.seeds,
        pairs=pairs,
        steps=a.steps,
        arithmetic="pinned" if a.pinned else "fast",
        resamples=a.resamples,
        level=a.level,
    )


def check_report(text: str, out: str | None) -> None:
    """Refuse a report that could not be written, or would lie among the rows, before the work.

    Raises
    ------
    ValueError
        A report that stands there already is replaced.
    """
    path = Path(text)
    if path.is_dir():
        raise ValueError(f"--report {text}: a directory stands there; name a file.")
    if not path.parent.is_dir():
        raise ValueError(f"--report {text}: the directory it stands in does not exist.")
    if out:
        check_apart("--out", out, "--report", text)
    new = not path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise ValueError(f"--report {text}: {error.strerror}.") from error


def command(arguments: argparse.Namespace, plan: Study) -> str:
    """Return the command line that makes this report, with every default that decides a number."""
    a = arguments
    networks = [chosen.word for chosen in chain.from_iterable(a.networks)]
    words = ["refquant", "compare", *networks, "--methods", ",".join(plan.methods)]
    words += ["--bits", ",".join(map(bits_name, plan.widths))]
    words += ["--seeds", ",".join(map(str, plan.seeds))]
    if a.pairs is not None:
        words += ["--pairs", ",".join(":".join(pair) for pair in plan.pairs)]
    if plan.steps is not None:
        words += ["--steps", str(plan.steps)]
    words += ["--resamples", str(plan.resamples), "--level", str(plan.level)]
    words += ["--pinned"] * a.pinned
    for name in ("out", "report"):
        words += [f"--{name}", getattr(a, name)] if getattr(a, name) else []
    words += ["--title", a.title] if a.title != "Comparison" else []
    words += ["--note", a.note] if a.note else []
    return shlex.join(words)


def _rows(configs: list[Config], arguments: argparse.Namespace) -> list[Row]:
    a = arguments
    chosen = chain.from_iterable(a.networks)
    folders = {one.name: one.folder for one in chosen if one.folder is not None}
    if a.quiet:
        return sweep(configs, out=a.out, workers=a.workers, folders=folders)
    from tqdm import tqdm  # only here: a quiet run need not import it

    began = time.perf_counter()
    note(f"{len(configs)} runs; those already in --out are not run again")
    with tqdm(total=len(configs), desc="compare", unit="run", dynamic_ncols=True) as shown:

        def on_row(row: Row) -> None:
            """Show which run has come in."""
            bits = bits_name((row["weight_bits"], row["act_bits"]))
            shown.set_postfix_str(f"{row['network']} {row['method']} {bits}")
            shown.update()

        rows = sweep(configs, out=a.out, on_row=on_row, workers=a.workers, folders=folders)
    note(f"took {time.perf_counter() - began:.0f} s")
    return rows
