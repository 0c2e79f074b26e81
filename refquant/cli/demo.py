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
from refquant.cli.env import environment
from refquant.cli.output import note, percent, print_json, table
from refquant.metrics import accuracy
from refquant.network import predict
from refquant.sweep import Config, Row, sweep

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


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo", help="quantize a network trained on real digits, and run it in integers only"
    )
    parser.add_argument("--network", default="digits-resnet", help=f"of {', '.join(zoo.names())}")
    parser.add_argument("--steps", type=int, default=400, help="of AdaRound per layer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="DIR", help="keep finished rows; resume from them")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run all rows, print the table; 1 if an integer network differs from its fake one."""
    a, began = arguments, time.perf_counter()
    network, data = zoo.load(a.network), zoo.data("digits")
    exact = accuracy(predict(network, data.test.x.astype(np.float64)), data.test.y)
    configs = [
        Config(
            network=a.network, method=m, weight_bits=w, act_bits=b, steps=a.steps, seed=a.seed
        )
        for w, b in WIDTHS
        for m in METHODS
    ]
    rows = _rows(configs, a)
    report = {
        "network": a.network,
        "test_images": len(data.test.y),
        "steps": a.steps,
        "fp32_accuracy": exact,
        "rows": [{key: row[key] for key in COLUMNS} for row in rows],
        "environment": environment(),
    }
    if a.json:
        print_json(report)
    else:
        print(readable(report))
        print(f"\nTook {time.perf_counter() - began:.0f} s. Next: refquant quantize --help")
    return 0 if all(row["integer_equals_fake"] for row in rows) else 1


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
        "\nSQNR: logits against the float network, higher is better. integer = fake: every code\n"
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
            shown.set_postfix_str(f"{row['method']} W{row['weight_bits']}A{row['act_bits']}")
            shown.update()

        return sweep(configs, out=arguments.out, on_row=on_row)
