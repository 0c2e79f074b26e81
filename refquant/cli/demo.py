"""``refquant demo``: the main job in one command.

Loads a network trained on real handwritten digits, quantizes it with nearest rounding and with
AdaRound at several bit widths, runs the integer-only network on the held-out test images, and
prints accuracy, SQNR and whether integer and fake-quantized codes are equal.
"""

import argparse
import time
from typing import Any

import numpy as np

from refquant import zoo
from refquant.cli.arguments import NETWORKS, add_command, add_quiet, add_seed, integer, network_name
from refquant.cli.env import environment
from refquant.cli.folders import check_rows
from refquant.cli.output import note, percent, print_json, show, table
from refquant.metrics import accuracy
from refquant.network import predict
from refquant.sweeps import Config, Row, sweep

WIDTHS = ((4, 8), (3, 8), (2, 8), (4, 4))  # (weight bits, activation bits)
METHODS = ("nearest", "adaround")
COLUMNS = (
    "method",
    "weight_bits",
    "act_bits",
    "accuracy",
    "sqnr_db",
    "integer_equals_fake",
    "seconds",
)
DESCRIPTION = """\
Quantizes a network trained on real handwritten digits, with nearest rounding and with AdaRound at
several bit widths, runs it with integers only on the held-out images, and prints a table.

Takes less than a minute on two cores. Exit code 1 if an integer-only network differs from its
fake-quantized one in any code or logit.
"""
EPILOG = f"""\
{NETWORKS}
examples:
  refquant demo
  refquant demo --network digits-mlp --steps 50
  refquant demo --out rows            (run it again after an interruption: it goes on)
  refquant demo --json --quiet > demo.json
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "demo",
        help="quantize a network trained on real digits, and run it in integers only",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument(
        "--network",
        type=network_name,
        default="digits-resnet",
        metavar="NAME",
        help="an embedded network (default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        type=integer(1),
        default=400,
        metavar="N",
        help="of AdaRound per layer (default: %(default)s; the paper's number is 20000)",
    )
    add_seed(parser)
    parser.add_argument("--out", metavar="DIR", help="keep finished rows there; resume from them")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run all rows, print the table; 1 if an integer network differs from its fake one."""
    a, began = arguments, time.perf_counter()
    if a.out:
        check_rows("--out", a.out)
    network, data = zoo.load(a.network), zoo.data("digits")
    logits = predict(network, data.test.x.astype(np.float64))
    exact = accuracy(logits, np.asarray(data.test.y))
    rows = _rows(configurations(a), a)
    report = {
        "network": a.network,
        "test_images": len(data.test.x),
        "steps": a.steps,
        "seed": a.seed,
        "fp32_accuracy": exact,
        "rows": [{key: row[key] for key in COLUMNS} for row in rows],
        "environment": environment(),
    }
    if a.json:
        print_json(report)
    else:
        took = time.perf_counter() - began
        show(f"{readable(report)}\n\nTook {took:.0f} s. Next: refquant quantize --help")
    return 0 if all(row["integer_equals_fake"] for row in rows) else 1


def configurations(arguments: argparse.Namespace) -> list[Config]:
    """Return the runs of the demo: every pair of widths, nearest before AdaRound."""
    a = arguments
    return [
        Config(network=a.network, method=m, weight_bits=w, act_bits=b, steps=a.steps, seed=a.seed)
        for w, b in WIDTHS
        for m in METHODS
    ]


def readable(report: dict[str, Any]) -> str:
    """Return the report as a table with a line of explanation above and below."""
    head = (
        f"{report['network']}: {percent(report['fp32_accuracy'])} in float on "
        f"{report['test_images']} held-out images of handwritten digits.\n"
    )
    rows = [
        [
            row["method"],
            f"W{row['weight_bits']}A{row['act_bits']}",
            percent(row["accuracy"]),
            f"{row['sqnr_db']:.1f} dB",
            "yes" if row["integer_equals_fake"] else "NO",
            f"{row['seconds']:.1f} s",
        ]
        for row in report["rows"]
    ]
    names = ["method", "bits", "accuracy", "SQNR", "integer = fake", "time"]
    foot = (
        "\nW4A8: weights of 4 bits, activations of 8; the first and the last layer have 8 and 8.\n"
        "SQNR: logits against the float network, higher is better. integer = fake: every code\n"
        "and every logit of the integer-only network equals the fake-quantized one."
    )
    return f"{head}\n{table(names, rows)}\n{foot}"


def _rows(configs: list[Config], arguments: argparse.Namespace) -> list[Row]:
    if arguments.quiet:
        return sweep(configs, out=arguments.out)
    from tqdm import tqdm  # only here: a quiet run need not import it

    note(f"quantizing {arguments.network} in {len(configs)} ways ...")
    with tqdm(total=len(configs), desc="demo", unit="run", dynamic_ncols=True) as shown:

        def on_row(row: Row) -> None:
            """Show which run has come in."""
            shown.set_postfix_str(f"{row['method']} W{row['weight_bits']}A{row['act_bits']}")
            shown.update()

        return sweep(configs, out=arguments.out, on_row=on_row)
