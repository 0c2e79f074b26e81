"""``refquant quantize NETWORK``: quantize one network, measure it, save it."""

import argparse
import time
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.cli.arguments import (
    METHOD_LIST,
    NETWORKS,
    add_command,
    add_quiet,
    add_seed,
    bits,
    bits_or_none,
    integer,
    method_name,
)
from refquant.cli.env import environment
from refquant.cli.folders import check_apart, check_new
from refquant.cli.networks import network
from refquant.cli.output import facts, note, percent, print_json, show, table
from refquant.memory import memory_plan
from refquant.metrics import accuracy, kl_divergence, sqnr_db
from refquant.network import predict
from refquant.pipeline import quantize
from refquant.reconstruct.history import Record
from refquant.result import Result
from refquant.subjects import Subject
from refquant.sweeps import integer_equals_fake

DESCRIPTION = """\
Quantizes a network on its calibration images and measures it on its test images.

Exit code 1 if the integer-only network differs from the fake-quantized one.
"""
EPILOG = f"""\
{NETWORKS}{METHOD_LIST}
examples:
  refquant quantize digits-resnet --weight-bits 2 --steps 400
  refquant quantize digits-mobilenet --method nearest --first-last-bits none --json
  refquant quantize digits-resnet --checkpoint units --out result      (interrupt it, run it
                                                                again: it goes on)
  refquant quantize digits-resnet --memory --cache disk
"""
APART = ("border", "gaps", "notes", "allocation")  # shown below the facts, or spread over several


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "quantize",
        help="quantize a network and measure it on its test images",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("network", type=network, metavar="NETWORK")
    parser.add_argument(
        "--method",
        type=method_name,
        default="adaround",
        metavar="NAME",
        help="how weights are rounded (default: %(default)s)",
    )
    _add_widths(parser)
    parser.add_argument(
        "--steps", type=integer(1), metavar="N", help="per unit (default: the published number)"
    )
    add_seed(parser)
    parser.add_argument(
        "--pinned", action="store_true", help="pinned arithmetic: the same bits on every machine"
    )
    parser.add_argument("--checkpoint", metavar="DIR", help="keep finished units; resume from it")
    parser.add_argument(
        "--gaps",
        action="store_true",
        help="how far each layer's codes are from the best ones, on the calibration images",
    )
    parser.add_argument("--out", metavar="DIR", help="save codes, steps and history there")
    parser.add_argument(
        "--memory",
        action="store_true",
        help="rehearse first, and say how much memory and disk it will take",
    )
    parser.add_argument(
        "--cache",
        default="memory",
        metavar="WHERE",
        help="values of all calibration images: 'memory', 'disk' (temporary files in TMPDIR) or a "
        "folder for the files; the same bits (default: %(default)s)",
    )
    add_quiet(parser)
    parser.set_defaults(run=run)


def _add_widths(parser: argparse.ArgumentParser) -> None:
    words = {"--weight-bits": ("weights", 4), "--act-bits": ("activations", 8)}
    for option, (what, width) in words.items():
        text = f"of {what}, 2 to 16 (default: %(default)s)"
        parser.add_argument(option, type=bits, default=width, metavar="B", help=text)
    parser.add_argument(
        "--first-last-bits",
        type=bits_or_none,
        default=8,
        metavar="B",
        help="of the first and the last layer; 'none': like the others (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Quantize, measure, print, save; 1 if the integer network differs from the fake one."""
    a = arguments
    if a.out:
        check_new("--out", a.out)
    if a.out and a.checkpoint:
        check_apart("--out", a.out, "--checkpoint", a.checkpoint)
    with nx.arithmetic("pinned" if a.pinned else "fast"):
        subject, began = a.network.load(), time.perf_counter()
        result = _quantize(subject, a)
        seconds = round(time.perf_counter() - began, 2)
        report = {"network": a.network.name, **measure(subject, result), "seconds": seconds}
        report["border"] = borders(result, subject.test.x)
        report["notes"] = list(result.notes)
        decision = result.allocation
        report["allocation"] = None if decision is None else decision.to_data()
        if a.gaps:
            report["gaps"] = gaps(result, subject.calib.x)
        surroundings = environment()
    if a.out:
        result.save(a.out)
        note(f"saved to {a.out}")
    if a.json:
        units = [unit(record) for record in result.history]
        print_json({**report, "units": units, "environment": surroundings})
    else:
        show(readable(report, result.history))
    return 1 if report["integer_equals_fake"] is False else 0


def measure(subject: Subject, result: Result) -> dict[str, Any]:
    """Return what was asked for, accuracy, SQNR and KL on the test images, integer = fake."""
    x, labels = subject.test.x.astype(np.float64), np.asarray(subject.test.y)
    float_logits, logits = predict(subject.network, x), result.network(x)
    return {
        "method": result.setting.name,
        "weight_bits": result.bits.weights,
        "act_bits": result.bits.activations,
        "first_last_bits": result.bits.first_last,
        "steps": result.steps,
        "seed": result.seed,
        "fp32_accuracy": accuracy(float_logits, labels),
        "accuracy": accuracy(logits, labels),
        "sqnr_db": sqnr_db(float_logits, logits),
        "kl": kl_divergence(float_logits, logits),
        "integer_equals_fake": integer_equals_fake(result, x),
        "run_id": result.run_id,
    }


def gaps(result: Result, x: Array) -> list[dict[str, Any]]:
    """Return how far each layer's codes are from the best ones, on the calibration images."""
    return [gap._asdict() for gap in result.optimality_gap(x)]


def borders(result: Result, x: Array) -> dict[str, Any] | None:
    """Return what AQuant's borders cost, and what storing them changes on the test images."""
    found = result.border_report(x)
    return None if found is None else found.to_data()


def unit(record: Record) -> dict[str, Any]:
    """Return the hard losses of a unit before and after learning, and the share decided."""
    return {
        "unit": record.unit,
        "phase": record.phase,
        "hard_start": record.hard_start,
        "hard_end": record.hard_end,
        "decided": record.binary[-1] if record.binary else None,
    }


def readable(report: dict[str, Any], history: tuple[Record, ...]) -> str:
    """Return the report as lines of name and value, and the units as a table."""
    shown = {key: "as published" if value is None else value for key, value in report.items()}
    if report["integer_equals_fake"] is None:
        shown["integer_equals_fake"] = "no integer network: some operands are real numbers"
    shown["first_last_bits"] = report["first_last_bits"] or "like the others"
    shown |= {key: percent(report[key]) for key in ("fp32_accuracy", "accuracy")}
    shown = {key: value for key, value in shown.items() if key not in APART}
    shown["sqnr_db"], shown["kl"] = f"{report['sqnr_db']:.2f}", f"{report['kl']:.4f}"
    if report["border"] is not None:
        shown |= _border_lines(report["border"])
    parts = [facts(shown), *(["\n".join(report["notes"])] if report["notes"] else [])]
    if report["allocation"] is not None:
        parts.append(_allocation_table(report["allocation"]))
    if "gaps" in report:
        parts.append(_gap_table(report["gaps"]))
    if not history:
        return "\n\n".join(parts)
    rows = [_cells(unit(record)) for record in history]
    units = table(["unit", "loss at start", "loss at end", "decided"], rows)
    return "\n\n".join([*parts, units])


def _allocation_table(found: dict[str, Any]) -> str:
    """Return the width of every layer, and the loss it was measured to add at each."""
    rows = []
    for one in found["layers"]:
        losses = [f"{increase:.3g}" for increase in one["increase"]]
        rows.append([one["layer"], str(one["bits"]), f"{one['size']:.0f}", *losses])
    heads = ["layer", "bits", "size", *(f"loss at {width}" for width in found["widths"])]
    size = f"size {found['size']:.0f} of at most {found['budget']:.0f}"
    return f"{table(heads, rows)}\n{size}"


def _gap_table(found: list[dict[str, Any]]) -> str:
    rows = []
    for gap in found:
        numbers = [gap[key] for key in ("loss", "best", "gap", "surely")]
        cells = ["-" if value is None else f"{value:.4g}" for value in numbers]
        known = "optimum" if gap["exact"] else "lower bound"
        comparable = known if gap["feasible"] else f"{known}; codes are no rounding of the weights"
        rows.append([gap["layer"], *cells, gap["reason"] or comparable])
    return table(["layer", "loss", "best", "gap", "surely lost", "best is"], rows)


def _border_lines(border: dict[str, Any]) -> dict[str, str]:
    cost = f"{percent(border['share'])} of the model"
    lines = {"border_parameters": f"{border['parameters']}; as the paper counts, {cost}"}
    lines["border_operations"] = f"{percent(border['operations_share'])} of the products"
    for width, changed in border["changed"].items():
        lines[f"codes_changed_at_{width}_bits"] = f"{percent(changed)} of the activations"
    return lines


def _cells(values: dict[str, Any]) -> list[str]:
    losses = [f"{values[key]:.4g}" for key in ("hard_start", "hard_end")]
    decided = values["decided"]
    return [values["unit"], *losses, "-" if decided is None else percent(decided)]


def _quantize(subject: Subject, arguments: argparse.Namespace) -> Result:
    a, (x, y) = arguments, subject.calib
    words = ("weight_bits", "act_bits", "first_last_bits")
    widths = {word: getattr(a, word) for word in words}
    if a.memory:
        plan = memory_plan(subject.network, x, a.method, labels=y, cache=a.cache, **widths)
        note(f"memory: {plan}")
    try:
        return quantize(
            subject.network,
            x,
            a.method,
            **widths,
            labels=y,
            seed=a.seed,
            steps=a.steps,
            checkpoint=a.checkpoint,
            progress=not a.quiet,
            cache=a.cache,
        )
    except KeyboardInterrupt:
        if a.checkpoint:
            note(f"finished units are in {a.checkpoint}; the same command goes on from there")
        raise
