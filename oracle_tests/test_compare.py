"""Comparisons: pairing, groups, verdicts and convergence by hand, from rows made up for it."""

import json
import math
import random
from dataclasses import asdict

import numpy as np
import pytest

from oracle_tests.compare_cases import METHODS, row, study
from refquant.compare import compare, convergence, joint_verdict, setting_hash
from refquant.methods import METHODS as CATALOGUE
from refquant.rows import Row
from refquant.statistics import Interval
from refquant.study import Study, all_pairs, bits_name

HARD = [float(2**k) for k in range(12)]  # energy of the noise: few images have nearly all of it


def rows_of(plan: Study, better: dict[str, float], shuffle: bool = False) -> list[Row]:
    """Return rows in which adaround's noise is nearest's times `better[network]`."""
    found = []
    for config in plan.configs():
        factor = better[config.network] if config.method == "adaround" else 1.0
        noise = [factor * value for value in HARD]
        if shuffle and config.method == "adaround":
            noise = noise[::-1]
        kl = [0.25 if config.method == "nearest" else 0.125] * len(HARD)
        found.append(row(config, noise, kl))
    return found


def only_pair(plan: Study, rows: list[Row], group: str = "digits-mlp") -> dict[str, object]:
    """Return the pair of one group."""
    (found,) = [pair for pair in compare(plan, rows)["pairs"] if pair["group"] == group]
    return found


def test_a_constant_ratio_is_a_gain_without_spread() -> None:
    """A tenth of the noise on every image of every copy: 10 dB, whatever is drawn."""
    plan = study()
    pair = only_pair(plan, rows_of(plan, {"digits-mlp:1": 0.1, "digits-mlp:2": 0.1}))
    for end in ("gain", "low", "high"):
        assert pair["sqnr_db"][end] == pytest.approx(10.0, abs=1e-9)
        assert pair["kl"][end] == 0.125 and pair["accuracy"][end] == 0.0
    assert pair["verdict"] == "transfers" and pair["accuracy"]["verdict"] == "undecided"
    assert (pair["baseline"], pair["candidate"], pair["bits"]) == (*METHODS, "W2A2")
    assert (pair["runs"], pair["runs_better"]) == (2, 2)


def test_images_are_paired() -> None:
    """One percent less noise on the same images is certain; on other images it is lost."""
    plan = study(networks=("digits-mlp:1",))
    paired = only_pair(plan, rows_of(plan, {"digits-mlp:1": 0.99}))
    mixed = only_pair(plan, rows_of(plan, {"digits-mlp:1": 0.99}, shuffle=True))
    gain = -10 * math.log10(0.99)
    assert paired["sqnr_db"]["gain"] == pytest.approx(gain, abs=1e-9)
    assert mixed["sqnr_db"]["gain"] == pytest.approx(gain, abs=1e-9)
    assert paired["sqnr_db"]["verdict"] == "transfers"
    assert mixed["sqnr_db"]["verdict"] == "undecided"
    assert mixed["sqnr_db"]["low"] < -3 < 3 < mixed["sqnr_db"]["high"]


def test_copies_that_disagree_leave_it_open() -> None:
    """+10 dB on one copy, -10 on the other: resamples of one copy alone reach both ends."""
    plan = study()
    pair = only_pair(plan, rows_of(plan, {"digits-mlp:1": 0.1, "digits-mlp:2": 10.0}))
    assert [pair["sqnr_db"][k] for k in ("gain", "low", "high")] == pytest.approx(
        [0.0, -10.0, 10.0], abs=1e-9
    )
    assert pair["verdict"] == "undecided" and pair["runs_better"] == 1


def test_seeds_are_resampled_within_their_copy() -> None:
    """Copy 1: +10 and -10 by seed; copy 2: 0. Means of 1 of 2 copies, 2 seeds: 10 to -10."""
    plan = study(seeds=(0, 1), resamples=4000, level=0.999)
    rows = rows_of(plan, {"digits-mlp:1": 1.0, "digits-mlp:2": 1.0})
    for entry in rows:
        if entry["network"] == "digits-mlp:1" and entry["method"] == "adaround":
            factor = (0.1, 10.0)[entry["seed"]]
            entry["images"]["noise"] = [factor * v for v in HARD]
    pair = only_pair(plan, rows)
    ends = [pair["sqnr_db"][k] for k in ("gain", "low", "high")]
    assert ends == pytest.approx([0.0, -10.0, 10.0], abs=1e-9)
    assert (pair["runs"], pair["runs_better"]) == (4, 1)


def test_architectures_weigh_the_same() -> None:
    """Two copies of one with +20 dB, one copy of the other with -10: the mean is 5, not 10."""
    networks = ("digits-mlp:1", "digits-mlp:2", "digits-resnet:1")
    plan = study(networks=networks)
    rows = rows_of(plan, dict(zip(networks, (0.01, 0.01, 10.0), strict=True)))
    report = compare(plan, rows)
    gains = {pair["group"]: pair["sqnr_db"]["gain"] for pair in report["pairs"]}
    assert list(gains) == ["all", "digits-mlp", "digits-resnet"]
    assert [*gains.values()] == pytest.approx([5.0, 20.0, -10.0], abs=1e-9)
    for entry in rows:
        entry["kl"] = 1.0 if entry["network"] == "digits-resnet:1" else 4.0
    means = {
        m["group"]: m["kl"] for m in compare(plan, rows)["methods"] if m["method"] == "nearest"
    }
    assert means == {"all": 2.5, "digits-mlp": 4.0, "digits-resnet": 1.0}


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((1.0, 2.0), (1.0, 2.0), "transfers"),
        ((-2.0, -1.0), (-2.0, -1.0), "does not transfer"),
        ((1.0, 2.0), (-1.0, 2.0), "undecided"),
        ((1.0, 2.0), (-2.0, -1.0), "undecided"),
        ((-1.0, 1.0), (-1.0, 1.0), "undecided"),
    ],
)
def test_both_primary_measures_must_agree(
    first: tuple[float, float], second: tuple[float, float], verdict: str
) -> None:
    """SQNR alone, or KL alone, decides nothing."""
    assert joint_verdict([Interval(0.0, *first), Interval(0.0, *second)]) == verdict


def test_a_perfect_candidate_gains_without_bound() -> None:
    """No noise at all: infinite, and still a verdict; perfect on both sides: nothing gained."""
    plan = study(networks=("digits-mlp:1",))
    pair = only_pair(plan, rows_of(plan, {"digits-mlp:1": 0.0}))
    assert pair["sqnr_db"]["low"] == math.inf and pair["verdict"] == "transfers"
    rows = rows_of(plan, {"digits-mlp:1": 1.0})
    for entry in rows:
        entry["images"]["noise"] = [0.0] * len(HARD)
    assert only_pair(plan, rows)["sqnr_db"] == {
        **{"gain": 0.0, "low": 0.0, "high": 0.0, "verdict": "undecided"}
    }


def test_the_order_of_rows_does_not_matter_and_nothing_is_random() -> None:
    """The same rows give the same report; another draw seed moves the ends, never the gain."""
    plan = study(seeds=(0, 1))
    rows = rows_of(plan, {"digits-mlp:1": 0.5, "digits-mlp:2": 0.9}, shuffle=True)
    report = compare(plan, rows)
    random.Random(0).shuffle(rows)
    assert compare(plan, rows) == report
    other = compare(study(seeds=(0, 1), draw_seed=1), rows)["pairs"][0]["sqnr_db"]
    mine = report["pairs"][0]["sqnr_db"]
    assert other["gain"] == mine["gain"] and other["low"] != mine["low"]
    alone = [row for row in rows if row["network"] == "digits-mlp:1" and row["seed"] == 0]
    by_images = [
        only_pair(study(networks=("digits-mlp:1",), draw_seed=seed), alone) for seed in (0, 1)
    ]
    assert by_images[0]["sqnr_db"]["low"] != by_images[1]["sqnr_db"]["low"]
    assert json.loads(json.dumps(report["study"]))["methods"] == [*METHODS]


def test_convergence_by_hand() -> None:
    """Two runs of two units: sums over units, means over runs; phases apart; None is left out."""
    unit = {"phase": 0, "unit": "a", "hard_start": 4.0, "hard_end": 1.0, "kept_start": False}
    unit |= {"rounded": 10, "decided": 0.5}
    first = [unit, unit | {"hard_end": 2.0, "decided": 1.0, "kept_start": True}]
    second = [unit | {"hard_start": 8.0, "decided": None}, unit | {"rounded": 180, "decided": 0.0}]
    later = [{**unit, "phase": 1, "rounded": 0, "decided": 1.0}]
    found = convergence([{"units": first + later}, {"units": second}])
    assert found[0] == {
        "phase": 0,
        "units": 4,
        "decided": 0.075,  # (5 + 10 + 0) / 200
        "decided_min": 0.0,
        "hard_start": 10.0,
        "hard_end": 2.5,
        "kept_start": 0.25,
    }
    assert found[1]["decided"] is None is found[1]["decided_min"]
    assert (found[1]["phase"], found[1]["units"], found[1]["hard_start"]) == (1, 1, 4.0)
    assert convergence([{"units": []}]) == []


def test_a_study_lists_every_run_once() -> None:
    """One copy after the other, so that an early stop leaves whole comparisons."""
    networks = ("digits-mlp:1", "digits-mlp:2", "digits-resnet:1")
    plan = study(networks=networks, seeds=(3, 5), widths=((4, 4), (2, 8)), steps=7)
    configs = plan.configs()
    assert len(set(configs)) == len(configs) == 3 * 2 * 2 * 2
    copies = [config.network.partition(":")[2] for config in configs]
    assert copies == sorted(copies) and {c.steps for c in configs} == {7}
    assert {(c.weight_bits, c.act_bits) for c in configs} == {(4, 4), (2, 8)}
    assert {c.seed for c in configs} == {3, 5} and {c.first_last_bits for c in configs} == {8}
    assert plan.architectures == {"digits-mlp": networks[:2], "digits-resnet": networks[2:]}
    assert study().groups == {"digits-mlp": ("digits-mlp",)}
    pinned = study(arithmetic="pinned", first_last_bits=None, calibration=9).configs()[0]
    assert (pinned.arithmetic, pinned.first_last_bits, pinned.calibration) == ("pinned", None, 9)


def test_names_and_hashes() -> None:
    """Pairs in the order listed; a setting's hash is that of its JSON, and differs by method."""
    assert all_pairs("abc") == (("a", "b"), ("a", "c"), ("b", "c"))
    assert bits_name((4, 8)) == "W4A8"
    assert len({setting_hash(name) for name in CATALOGUE}) == len(CATALOGUE)
    plan = study()
    report = compare(plan, rows_of(plan, {"digits-mlp:1": 0.5, "digits-mlp:2": 0.5}))
    assert report["settings"] == {name: setting_hash(name) for name in METHODS}
    assert report["study"] == asdict(plan) and report["test_images"] == len(HARD)
    assert np.shape(report["methods"]) == (2,)
