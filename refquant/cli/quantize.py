"""``refquant quantize NETWORK``: quantize one embedded network, measure it, save it."""

import argparse
from typing import Any

import numpy as np

from refquant import zoo
from refquant import numerics as nx
from refquant.cli.env import environment
from refquant.cli.output import note, percent, print_json, table
from refquant.methods import METHODS
from refquant.metrics import accuracy, kl_divergence, sqnr_db
from refquant.network import predict
from refquant.pipeline import quantize
from refquant.reconstruct.history import Record
from refquant.result import Result
from refquant.sweep import integer_equals_fake


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "quantize", help="quantize an embedded network and measure it on its test images"
    )
    parser.add_argument("network", help=f"one of {', '.join(zoo.names())}")
    parser.add_argument("--method", default="adaround", help=f"one of {', '.join(METHODS)}")
    parser.add_argument("--weight-bits", type=int, default=4, metavar="B")
    parser.add_argument("--act-bits", type=int, default=8, metavar="B")
    parser.add_argument("--first-last-bits", type=int, default=8, metavar="B")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="per unit; default: the published number")
    parser.add_argument("--pinned", action="store_true", help="the same bits on every machine")
    parser.add_argument("--checkpoint", metavar="DIR", help="keep finished units; resume from it")
    parser.add_argument("--out", metavar="DIR", help="save codes, steps and history there")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Quantize, measure, print, save."""
    a = arguments
    with nx.arithmetic("pinned" if a.pinned else "fast"):
        network, data = zoo.load(a.network), zoo.data("digits")
        result = quantize(
            network,
            data.calib.x,
            a.method,
            weight_bits=a.weight_bits,
            act_bits=a.act_bits,
            first_last_bits=a.first_last_bits,
            seed=a.seed,
            steps=a.steps,
            checkpoint=a.checkpoint,
            progress=not a.quiet,
        )
        report = measure(a.network, network, result, data)
    if a.out:
        note(f"saved to {result.save(a.out)}")
    if a.json:
        print_json({**report, "environment": environment()})
    else:
        print("\n".join(f"{key.ljust(20)}  {value}" for key, value in readable(report).items()))
        if result.history:
            print(f"\n{history_table(result.history)}")
    return 0 if report["integer_equals_fake"] else 1


def measure(name: str, network: Any, result: Result, data: Any) -> dict[str, Any]:
    """Return accuracies, SQNR and KL on the test images, and whether integer equals fake."""
    x = data.test.x.astype(np.float64)
    float_logits, logits = predict(network, x), result.network(x)
    return {
        "network": name,
        "method": result.setting.name,
        "weight_bits": result.bits.weights,
        "act_bits": result.bits.activations,
        "fp32_accuracy": accuracy(float_logits, data.test.y),
        "accuracy": accuracy(logits, data.test.y),
        "sqnr_db": sqnr_db(float_logits, logits),
        "kl": kl_divergence(float_logits, logits),
        "integer_equals_fake": integer_equals_fake(result, x),
        "run_id": result.run_id,
    }


def readable(report: dict[str, Any]) -> dict[str, str]:
    """Return the report's values as text."""
    shown = {key: str(value) for key, value in report.items()}
    shown |= {key: percent(report[key]) for key in ("fp32_accuracy", "accuracy")}
    shown["sqnr_db"], shown["kl"] = f"{report['sqnr_db']:.2f}", f"{report['kl']:.4f}"
    return shown


def history_table(history: tuple[Record, ...]) -> str:
    """Return the hard losses of every unit before and after learning, and the share decided."""
    rows = [
        [r.unit, f"{r.hard_start:.4g}", f"{r.hard_end:.4g}", percent(r.binary[-1])] for r in history
    ]
    return table(["unit", "loss at start", "loss at end", "decided"], rows)
