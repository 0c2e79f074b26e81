"""validation/seq_mse.py: its claims, its table of times, and the page of today's settings."""

import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from oracle_tests.compare_cases import row
from refquant.methods import resolve
from refquant.study import bits_name


@pytest.fixture(scope="module", name="script")
def module() -> ModuleType:
    """The script; nothing of its ``main`` has run."""
    from validation import seq_mse

    return seq_mse


def test_every_claim_is_a_pair_of_methods_that_are_run(script: ModuleType) -> None:
    """The methods exist, each is run, and no pair is asked for twice or against itself."""
    pairs = script.PLAN.pairs
    assert len(set(pairs)) == len(pairs) == len(script.CLAIMS)
    assert {name for pair in pairs for name in pair} == set(script.PLAN.methods)
    assert all(baseline != candidate for baseline, candidate in pairs)
    assert all(resolve(name).name == name for name in script.PLAN.methods)


def test_times_are_ratios_of_runs_of_one_network_at_one_width(script: ModuleType) -> None:
    """By hand: 3, 4 and 8 times nearest's, each at its own width, have the median 4."""
    plan = replace(script.PLAN, networks=("digits-mlp:1",))
    nearest = {2: 1.0, 3: 2.0, 4: 4.0}
    taken = {"nearest+seq-mse": {2: 3.0, 3: 8.0, 4: 32.0}, "nearest": nearest}
    rows = [
        row(c, [1.0], [1.0]) | {"seconds": taken.get(c.method, nearest)[c.weight_bits]}
        for c in plan.configs()
    ]
    (line,) = (one for one in script.cost(plan, rows).splitlines() if "digits-mlp" in one)
    many, one = "4.00 (3.00 .. 8.00)", "1.00 (1.00 .. 1.00)"
    assert line == f"| digits-mlp | {many} | {one} | {many} | {one} |"


def test_the_page_holds_rule_claims_times_and_the_whole_comparison(script: ModuleType) -> None:
    """On rows that are all alike nothing is decided."""
    rows = [row(c, [1.0] * 4, [1.0] * 4) | {"units": []} for c in script.PLAN.configs()]
    text = script.page(replace(script.PLAN, resamples=20), rows)
    assert text.startswith("# What sequential MSE gains\n\n- Where weights are")
    assert "Methods, networks, bits, claims and the rule were fixed before" in text
    assert "| nearest | 3.00 dB, 1.0000 | 3.00 dB, 1.0000 | 3.00 dB, 1.0000 |" in text
    lines = len(script.CLAIMS) * len(script.PLAN.widths)
    assert text.count("| +0.00 [+0.00, +0.00] | +0.0000 [+0.0000, +0.0000] | undecided |") == lines
    for part in ("## Time", "## Whole comparison", "--out ROWS --copies 1,2,3\n"):
        assert text.count(part) == 1
    assert "were planned" not in text
    fewer = replace(script.PLAN, resamples=20, networks=script.DIGITS[:2])
    assert "were planned. This page is of those numbered 1 and 2," in script.page(fewer, rows)


@pytest.fixture(scope="module", name="page")
def committed(script: ModuleType) -> tuple[list[tuple[str, ...]], str]:
    """Cells of the claims on the committed page, and what follows them."""
    text = script.PAGE.read_text(encoding="utf-8")
    table, _, rest = text.partition("## Claims")[2].partition("## Time")
    lines = [one.strip("| ").split(" | ") for one in table.splitlines() if one[:1] == "|"]
    return [tuple(cells) for cells in lines[2:]], rest


def test_the_committed_page_has_a_line_for_every_claim(script: ModuleType, page: Any) -> None:
    """And width, and for every architecture among the times."""
    lines, rest = page
    asked = [
        (c.source, c.words, c.candidate, c.baseline, bits_name(width))
        for c in script.CLAIMS
        for width in script.PLAN.widths
    ]
    assert [line[:5] for line in lines] == asked
    times = rest.partition("## Whole comparison")[0]
    assert all(times.count(f"| {name} |") == 1 for name in script.PLAN.architectures)


def test_the_words_of_the_page_are_what_its_claims_say(page: Any) -> None:
    """Everything transfers but the start of AdaRound, which gains in SQNR at W2A8 alone."""
    for _, words, _, _, bits, sqnr, kl, verdict in page[0]:
        start = words.startswith("a better start")
        assert verdict == ("undecided" if start else "transfers")
        low, high = map(float, re.findall(r"[-+][\d.]+", sqnr)[1:])
        if start:
            assert (low > 0.0) == (bits == "W2A8") and high < 2.0
            assert "[-" in kl and ", +" in kl
        elif words != "float targets are better":
            assert low > 2.0
