"""AdaRound as released: the profiles against a table written down from the programs' sources."""

from dataclasses import replace

import pytest

from oracle_tests.reconstruct_cases import images, residual
from refquant.methods import DIALECTS, METHODS, Term, differences
from refquant.methods.adaround import ADAROUND
from refquant.pipeline import quantize

# Curve, first step, arrival and end of beta; start of alpha, edge of h, tie; lambda, rate, steps;
# reduction of the loss, sampling (methods.md 5.1, 5.5, 5.8, 6.3 and 6.5, and the sources).
TABLE = """
brecq               linear 1 total hold     quotient inclusive up   0.01  0.001 20000 channels permutation
qdrop               linear 1 total hold     quotient inclusive up   0.01  0.001 20000 channels with_replacement
mqbench             linear 1 total hold     quotient inclusive up   0.01  0.001 20000 channels blocks
aimet               cosine 0 total refuse   quotient inclusive up   0.01  0.001 10000 channels permutation
ppq                 cosine 0 total continue quotient inclusive up   0.01  0.001 8000  mean     cycle
amct                cosine 0 total refuse   ratio    inclusive up   0.01  0.001 10000 channels permutation
brevitas            linear 1 total hold     quotient inclusive down 0.01  0.001 1000  channels permutation
torch-experimental  cosine 0 total refuse   quotient inclusive up   0.001 0.001 10000 mean     epochs
onnxsim             linear 0 last  refuse   clipped  strict    down 0.01  0.1   300   mean     full
"""  # noqa: E501
ROWS = {line.split()[0]: line.split()[1:] for line in TABLE.strip().splitlines()}


def test_every_dialect_is_in_the_table():
    """And the other way round."""
    assert [setting.name for setting in DIALECTS] == [f"adaround-{tool}" for tool in ROWS]


@pytest.mark.parametrize("tool", ROWS)
def test_a_dialect_is_what_its_source_says(tool):
    """All of them share beta 20 to 2 and a warm-up of a fifth."""
    setting = METHODS[f"adaround-{tool}"]
    (phase,), weights, beta = setting.phases, setting.weights, setting.phases[0].penalty.beta
    found = (
        *(beta.curve, beta.first_step, beta.arrive, beta.after),
        *(weights.alpha_init, weights.edge, weights.tie),
        *(phase.penalty.lam, phase.learn[0][1].lr, phase.steps),
        *(phase.terms[0].reduction, phase.sampling),
    )
    assert list(map(str, found)) == ROWS[tool]
    assert (beta.start, beta.end, beta.warm_up) == (20.0, 2.0, 0.2)
    assert phase.keep_best == (tool == "ppq")
    assert setting.parents == ("adaround",)


def test_no_two_dialects_learn_the_same():
    """At the same images, seed and steps, every profile ends at an alpha of its own."""
    network, x = residual(), images(residual(), n=48)
    alphas = set()
    for setting in (ADAROUND, *DIALECTS):
        result = quantize(network, x, setting, weight_bits=3, act_bits=4, steps=20)
        alphas.add(b"".join(v.alpha.tobytes() for v in result.layers.values()))
    assert len(alphas) == 1 + len(DIALECTS)


def test_differences_name_fields_by_path():
    """Values of the child; a part of another kind by its class; labels are none."""
    first = ADAROUND.phases[0]
    child = replace(
        ADAROUND,
        name="child",
        reference="x",
        parents=("adaround",),
        weights=replace(ADAROUND.weights, grid="affine"),
        activations=None,
        phases=(replace(first, terms=(Term(p=2.4), Term(kind="kl", at="logits")), penalty=None),),
    )
    found = differences(child, ADAROUND)
    assert found["weights.grid"] == "affine" and found["activations"] is None
    assert found["phases.0.terms.0.p"] == 2.4 and found["phases.0.terms.1"] == "Term"
    assert found["phases.0.penalty"] is None
    assert not any(path.startswith(("activations.", "phases.0.penalty.")) for path in found)
    assert set(found) & {"name", "reference", "parents"} == set()
    assert differences(ADAROUND, ADAROUND) == {}
    learnt = replace(first, learn=(("alpha", replace(first.learn[0][1], lr=0.1)),))
    assert differences(replace(ADAROUND, phases=(learnt,)), ADAROUND) == {
        "phases.0.learn.alpha.lr": 0.1
    }
