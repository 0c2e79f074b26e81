"""Compare methods on held-out images: means, paired gains with intervals, a verdict for each.

`refquant.study` says what is run and how it is judged, before anything is run. Primary measures
are the SQNR and the KL divergence of the logits against the float network; accuracy stands beside
them, because that of small networks saturates. A gain is positive where the candidate is better:

    measure     gain of candidate over baseline     unit
    sqnr_db     10 log10(noise of b / noise of c)   dB
    kl          kl of b - kl of c                   nats
    accuracy    share right of c - of b             1

A pair *transfers* where the intervals of both primary measures lie above 0, does *not transfer*
where both lie below; everything else is undecided. "all" is the mean over architectures, each
with the same weight. Statistics are computed in pinned arithmetic from what the rows say, so the
same rows give the same numbers everywhere. Nothing is chosen by looking at test images.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant import statistics as st
from refquant._types import Array
from refquant.methods import resolve
from refquant.report.remarks import REMARKS
from refquant.rows import Row
from refquant.study import Study, bits_name

SCHEMA = "refquant-compare/1"
PRIMARY = ("sqnr_db", "kl")
MEASURES = (*PRIMARY, "accuracy")


class Measured(NamedTuple):
    """What the resamples of the images say of one method on one architecture, each (c, k, r)."""

    noise: Array
    kl: Array
    right: Array


def compare(study: Study, rows: Iterable[Row]) -> dict[str, Any]:
    """Return the comparison as JSON data.

    Parameters
    ----------
    study : Study
    rows : iterable of dict
        Of `refquant.sweeps`, one for every configuration of the study.

    Returns
    -------
    dict
        ``schema``, ``study``, ``settings`` (a hash of each, so that a later reader knows whether
        a name still means the same), ``test_images``, ``methods`` (means and convergence),
        ``pairs`` (gains, intervals, verdicts), and ``remarks`` where some result has notes or an
        allocation of bits.
    """
    by_config = {_name(row): row for row in rows}
    images = len(next(iter(by_config.values()))["images"]["kl"])
    with nx.arithmetic("pinned"):
        weights = st.image_weights(("compare", study.draw_seed), study.resamples, images)
        return {
            "schema": SCHEMA,
            "study": asdict(study),
            "settings": {name: setting_hash(name) for name in study.methods},
            "test_images": images,
            "methods": [
                means(study, by_config, group, width, method)
                for width in study.widths
                for group in study.groups
                for method in study.methods
            ],
            "pairs": [
                pair for width in study.widths for pair in pairs(study, by_config, weights, width)
            ],
            **remarks(by_config.values()),
        }


def remarks(rows: Iterable[Row]) -> dict[str, Any]:
    """Return under ``remarks`` what results say beside their numbers; nothing if none does."""
    which = ("network", "method", "weight_bits", "act_bits", "seed")
    found = [
        {name: row[name] for name in (*which, *REMARKS) if name in row}
        for row in rows
        if any(name in row for name in REMARKS)
    ]
    return {"remarks": found} if found else {}


def setting_hash(method: str) -> str:
    """Return the first twelve digits of the SHA-256 of a setting's canonical JSON."""
    return hashlib.sha256(resolve(method).to_json().encode()).hexdigest()[:12]


def means(
    study: Study,
    rows: dict[tuple[Any, ...], Row],
    group: str,
    width: tuple[int, int],
    method: str,
) -> dict[str, Any]:
    """Return the measures of a method, each architecture with the same weight, and convergence."""
    names = ("sqnr_db", "kl", "accuracy", "float_accuracy", "seconds")
    of_each = [
        [rows[(n, method, width, s)] for n in study.architectures[a] for s in study.seeds]
        for a in study.groups[group]
    ]
    every = [row for part in of_each for row in part]
    mean = {
        name: _mean([_mean([float(row[name]) for row in part]) for part in of_each])
        for name in names
    }
    return {
        "group": group,
        "bits": bits_name(width),
        "method": method,
        "runs": len(every),
        **mean,
        "integer_equals_fake": all(row["integer_equals_fake"] is not False for row in every),
        "phases": convergence(every),
    }


def convergence(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return, for every phase, how far it came: evidence that a comparison is a fair one.

    ``decided``, the share of all weights of all runs, and ``decided_min``, that of the worst unit
    (None where nothing is rounded); ``hard_start`` and ``hard_end``, the
    loss on the calibration images with weights rounded for good, summed over units, mean over
    runs; ``kept_start``, the share of units where learning made nothing better and was undone.
    """
    found = []
    for phase in sorted({unit["phase"] for row in rows for unit in row["units"]}):
        runs = [[u for u in row["units"] if u["phase"] == phase] for row in rows]
        units = [unit for run in runs for unit in run]
        known = [unit for unit in units if unit["rounded"] and unit["decided"] is not None]
        decided = [(unit["rounded"], unit["decided"]) for unit in known]
        start, end = (
            _mean([_mean([u[name] for u in run]) * len(run) for run in runs if run])
            for name in ("hard_start", "hard_end")
        )
        found.append(
            {
                "phase": phase,
                "units": len(units),
                "decided": _share(decided),
                "decided_min": min((share for _, share in decided), default=None),
                "hard_start": start,
                "hard_end": end,
                "kept_start": _mean([float(u["kept_start"]) for u in units]),
            }
        )
    return found


def _share(parts: Sequence[tuple[int, float]]) -> float | None:
    """Return the share of a whole of which parts have these sizes and shares."""
    whole = sum(size for size, _ in parts)
    return sum(size * share for size, share in parts) / whole if whole else None


def pairs(
    study: Study, rows: dict[tuple[Any, ...], Row], weights: Array, width: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return gains, intervals and verdicts of all pairs at one bit setting."""
    measured = {
        (a, method): _measured(study, rows, weights, (a, method, width))
        for a in study.architectures
        for method in dict.fromkeys(name for pair in study.pairs for name in pair)
    }
    draws = {
        a: st.draw(("compare", study.draw_seed, a), study.resamples, len(n), len(study.seeds))
        for a, n in study.architectures.items()
    }
    found = []
    for group, architectures in study.groups.items():
        for baseline, candidate in study.pairs:
            gains = {
                a: _gains(measured[a, baseline], measured[a, candidate]) for a in architectures
            }
            intervals = {
                name: _interval([(gains[a][name], draws[a]) for a in architectures], study.level)
                for name in MEASURES
            }
            better = np.concatenate([gains[a]["sqnr_db"][:, :, 0].ravel() for a in architectures])
            found.append(
                {
                    "group": group,
                    "bits": bits_name(width),
                    "baseline": baseline,
                    "candidate": candidate,
                    "verdict": joint_verdict([intervals[name] for name in PRIMARY]),
                    "runs": len(better),
                    "runs_better": int(np.count_nonzero(better > 0.0)),
                    **{k: {**v._asdict(), "verdict": v.verdict} for k, v in intervals.items()},
                }
            )
    return found


def joint_verdict(intervals: Sequence[st.Interval]) -> str:
    """Return the verdict that all intervals agree on; "undecided" if they do not."""
    verdicts = {interval.verdict for interval in intervals}
    return verdicts.pop() if len(verdicts) == 1 else st.VERDICTS[2]


def _measured(
    study: Study,
    rows: dict[tuple[Any, ...], Row],
    weights: Array,
    which: tuple[str, str, tuple[int, int]],
) -> Measured:
    architecture, method, width = which
    parts = {
        name: np.array(
            [
                [rows[(n, method, width, s)]["images"][name] for s in study.seeds]
                for n in study.architectures[architecture]
            ],
            dtype=np.float64,
        )
        for name in ("noise", "kl", "right")
    }
    sums = {name: st.weighted_sums(values, weights) for name, values in parts.items()}
    images = weights.shape[1]
    return Measured(sums["noise"], sums["kl"] / images, sums["right"] / images)


def _gains(baseline: Measured, candidate: Measured) -> dict[str, Array]:
    return {
        "sqnr_db": st.decibels_gained(baseline.noise, candidate.noise),
        "kl": baseline.kl - candidate.kl,
        "accuracy": candidate.right - baseline.right,
    }


def _interval(parts: Sequence[tuple[Array, st.Draws]], level: float) -> st.Interval:
    each = np.stack([st.resampled_means(values, draws) for values, draws in parts])
    return st.percentile_interval(nx.mean(each, axis=0), level)


def _name(row: Row) -> tuple[Any, ...]:
    return row["network"], row["method"], (row["weight_bits"], row["act_bits"]), row["seed"]


def _mean(values: Sequence[float]) -> float:
    return float(nx.mean(np.array(values, dtype=np.float64)))
