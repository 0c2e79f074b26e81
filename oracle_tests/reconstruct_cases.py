"""Small networks, settings and tasks that the tests of the reconstruction share.

Everything is real-valued and random, a few dozen images of a few dozen pixels. The settings are
the rows of methods.md table 15.1 that can be built, at a number of steps a test can afford.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from refquant.components import NearestWeights, XiEta
from refquant.layers.geometry import Geometry
from refquant.methods import Learn, Penalty, Phase, Term
from refquant.methods.adaround import ADAROUND
from refquant.methods.nearest import NEAREST
from refquant.network import Network, Node
from refquant.progress import silent
from refquant.reconstruct.loop import Run, Supply, jobs, reconstruct
from refquant.reconstruct.model import Bits, build_model, harden, part_of

SAME = Geometry((3, 3), padding=(1, 1, 1, 1))
POINT = Geometry((1, 1))
BITS = Bits(weights=3, activations=4, first_last=None)
FLOOR = (1.19e-7, 1e5)  # of learnt steps

ALPHA = ("alpha", Learn(lr=1e-3))
S_X = ("s_x", Learn(lr=1e-2, keep_travel=False, relative=True, project=FLOOR))
S_W = ("s_w", Learn(lr=1e-2, keep_travel=False, relative=True, project=FLOOR))


def conv(name, source, geometry=SAME):
    return Node(name, "conv2d", (source,), (("geometry", geometry),))


def plain(name, op, *sources):
    return Node(name, op, sources)


def residual(seed=0):
    """stem; block of a depthwise, a pointwise convolution and a skip path; classifier."""
    rng = np.random.default_rng(seed)
    nodes = (
        conv("stem", "input"),
        plain("r0", "relu", "stem"),
        conv("dw", "r0", replace(SAME, groups=4)),
        plain("r1", "relu6", "dw"),
        conv("point", "r1", POINT),
        plain("sum", "add", "point", "r0"),
        plain("r2", "relu", "sum"),
        plain("gap", "global_average_pool", "r2"),
        plain("flat", "flatten", "gap"),
        plain("fc", "linear", "flat"),
    )
    params = {
        ("stem", "w"): rng.normal(0, 0.4, (4, 2, 3, 3)),
        ("stem", "bias"): rng.normal(0, 0.1, 4),
        ("dw", "w"): rng.normal(0, 0.4, (4, 1, 3, 3)),
        ("dw", "bias"): rng.normal(0, 0.1, 4),
        ("point", "w"): rng.normal(0, 0.5, (4, 4, 1, 1)),
        ("point", "bias"): rng.normal(0, 0.1, 4),  # without it, sums of zeros sit on relu's kink
        ("fc", "w"): rng.normal(0, 0.8, (3, 4)),
        ("fc", "bias"): rng.normal(0, 0.2, 3),
    }
    block = ("body", ("dw", "r1", "point", "sum", "r2"))
    return Network("residual", (2, 4, 4), nodes, params, (block,))


def normed(seed=0):
    """The residual network with a batch norm behind two of its layers, not folded."""
    rng, network = np.random.default_rng(seed), residual(seed)
    renamed = {"dw": "n1", "point": "n2"}
    nodes, params = [], dict(network.params)
    for node in network.nodes:
        nodes.append(replace(node, inputs=tuple(renamed.get(e, e) for e in node.inputs)))
        if node.name in renamed:
            norm = renamed[node.name]
            nodes.append(Node(norm, "batch_norm", (node.name,), (("eps", 1e-3),)))
            for name, low, high in (("gamma", 0.5, 2), ("beta", -1, 1), ("mean", -1, 1)):
                params[(norm, name)] = rng.uniform(low, high, 4)
            params[(norm, "var")] = rng.uniform(0.5, 2, 4)
    block = ("body", ("dw", "n1", "r1", "point", "n2", "sum", "r2"))
    return Network("normed", (2, 4, 4), tuple(nodes), params, (block,))


def dense(seed=0, sizes=(6, 5, 3)):
    """Fully connected layers with relu in between."""
    rng = np.random.default_rng(seed)
    nodes, params, source = [], {}, "input"
    for number, (wide, narrow) in enumerate(pairwise(sizes), 1):
        nodes.append(plain(f"fc{number}", "linear", source))
        params |= {
            (f"fc{number}", "w"): rng.normal(0, 1 / np.sqrt(wide), (narrow, wide)),
            (f"fc{number}", "bias"): rng.normal(0, 0.1, narrow),
        }
        source = f"fc{number}"
        if number < len(sizes) - 1:
            nodes.append(plain(f"r{number}", "relu", source))
            source = f"r{number}"
    return Network("dense", (sizes[0],), tuple(nodes), params)


def images(network, n=24, seed=1):
    return np.random.default_rng(seed).normal(size=(n, *network.input_shape))


def classes(x, count=3):
    """A class for every input, of those that the network has; QAT alone reads them."""
    return np.arange(len(x)) % count


def correlated(n, features, seed):
    """Inputs of low rank behind a relu: where adaptive rounding has something to gain."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, 3)) @ rng.normal(size=(3, features)) + 0.3, 0.0)


def adaround(**phase):
    """AdaRound with small batches; `phase` changes fields of its one phase."""
    first = replace(ADAROUND.phases[0], **{"batch": 8, **phase})
    return replace(ADAROUND, name="test-adaround", phases=(first,))


# Rows of table 15.1.
CASE_111 = replace(
    ADAROUND,
    name="test-1.1.1",
    phases=(
        Phase(learn=(ALPHA,), quantize=("weights",), penalty=Penalty(), batch=8),
        Phase(learn=(S_X,), batch=8),
    ),
)
CASE_112 = replace(
    ADAROUND,
    name="test-1.1.2",
    phases=(Phase(learn=(ALPHA, S_X), unit="block", penalty=Penalty(), batch=8),),
)
CASE_12 = replace(
    NEAREST,
    name="test-1.2",
    weights=NearestWeights(),
    phases=(Phase(learn=(S_W, S_X), unit="block", batch=8),),
)
NETWORK_WIDE = replace(
    CASE_112,
    name="network-wide",
    phases=(replace(CASE_112.phases[0], unit="network", terms=(Term(at="layers"),)),),
)
ADAQT = replace(
    NETWORK_WIDE,
    name="adaqt",
    output=XiEta(),
    phases=(
        replace(
            NETWORK_WIDE.phases[0],
            learn=(ALPHA, S_X, *((n, Learn(lr=1e-2, keep_travel=False)) for n in ("xi", "eta"))),
        ),
    ),
)
TABLE = (CASE_111, CASE_112, CASE_12, NETWORK_WIDE, ADAQT)


def task_of(network, x, setting, unit=0, phase=0, steps=10, state=None, bits=BITS):
    """Return the task of one unit of one phase, and the unit's state before it.

    Everything before the unit is rounded as it stands in `state`, by default at the start.
    """
    model = build_model(network, x, setting, bits)
    state = model.start if state is None else state(model)
    plan = [job for job in jobs(model.network, setting) if job[0] == phase]
    _, this, _, found = plan[unit]
    before = [layer for job in plan[:unit] for layer in job[3].layers]
    state = harden(model, state, before)
    supply = Supply.begin(model, this, x).to(found, model, state)
    run = Run(seed=5, steps=steps, progress=silent, labels=classes(x))
    return supply.task(model, found, run, (5, phase, unit)), part_of(state, found)


def run_of(network, setting, x=None, steps=10, seed=0, bits=BITS):
    """Return model, final state and records."""
    x = images(network) if x is None else x
    model = build_model(network, x, setting, bits)
    run = Run(seed=seed, steps=steps, progress=silent, labels=classes(x))
    return model, *reconstruct(model, x, setting, run)


def changed(setting, **fields):
    return replace(setting, phases=tuple(replace(p, **fields) for p in setting.phases))
