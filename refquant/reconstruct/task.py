"""One unit in one phase: everything that stays fixed while it is learnt."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from refquant._types import Array
from refquant.kernels.winograd import WEIGHT
from refquant.losses.reconstruction import loss_by_rows
from refquant.methods.setting import Phase, Term
from refquant.network import join
from refquant.network.graph import Network, Node
from refquant.network.join import brought
from refquant.network.run import evaluate, forward
from refquant.network.units import Unit
from refquant.reconstruct.model import Model
from refquant.reconstruct.objective import Goal, sites
from refquant.storage import MEMORY, Storage


@dataclass(frozen=True)
class UnitTask:
    """One unit in one phase, with everything that stays fixed while it is learnt.

    Attributes
    ----------
    model : Model
    phase : Phase
        With the number of steps of this run, and learning rates for it.
    network : Network
        With the quantizers this phase leaves out bypassed.
    unit : Unit
    inputs, float_inputs : mapping of edge name to array
        The unit's inputs for all samples, quantized prefix (or float, as the phase says) and
        float.
    targets : mapping of edge name to array
        Float values at the loss sites; at the logits too where Fisher weights are needed. Empty
        for the Gram solver, which sums them up as it goes.
    key : tuple
        (seed, phase number, unit number), the head of every random key.
    rest : tuple of str
        Nodes from the unit to the logits, in running order; empty where no term needs them.
    beside : mapping of edge name to array
        What the rest reads besides the unit's output, as the unit's inputs come, never mixed.
    felt : mapping of edge name to array
        dL_KL/dz at the unit's output, once `refquant.reconstruct.rest` has measured it.
    labels : mapping of edge name to array
        Classes of all samples, at the logits; empty where no term reads them.
    storage : Storage
        Where values of all samples are kept.
    """

    model: Model
    phase: Phase
    network: Network
    unit: Unit
    inputs: Mapping[str, Array]
    float_inputs: Mapping[str, Array]
    targets: Mapping[str, Array]
    key: tuple[int, int, int]
    rest: tuple[str, ...] = ()
    beside: Mapping[str, Array] = field(default_factory=dict)
    felt: Mapping[str, Array] = field(default_factory=dict)
    labels: Mapping[str, Array] = field(default_factory=dict)
    storage: Storage = MEMORY

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes a step runs: the unit, and the way to the logits where a term needs it."""
        return (*self.unit.nodes, *self.rest)

    @property
    def logits(self) -> str:
        """The edge that holds the network's output."""
        return self.network.nodes[-1].name

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """The edges at which the phase's terms measure."""
        return sites(self.unit, self.phase.terms, self.logits)

    @cached_property
    def powers(self) -> dict[tuple[str, Term], float]:
        """What normalised terms divide by: the loss of the output 0; 1 where that is 0."""
        found: dict[tuple[str, Term], float] = {}
        for term in self.phase.terms:
            if term.normalize == "power":
                for edge in sites(self.unit, (term,), self.logits):
                    target = self.targets[edge]
                    power = loss_by_rows(target.__getitem__, target, term.p, term.reduction)
                    found[(edge, term)] = power or 1.0
        return found

    @cached_property
    def float_network(self) -> Network:
        """The network with every quantizer bypassed."""
        return self.model.float_network

    @cached_property
    def joined(self) -> "UnitTask":
        """The task with parts of a layer in one node where a kernel computes them at once."""
        network = join(self.network, quantized="weights" in self.phase.quantize)
        names = {node.name for node in network.nodes}
        unit = replace(self.unit, nodes=tuple(name for name in self.unit.nodes if name in names))
        rest = tuple(name for name in self.rest if name in names)
        return replace(self, network=network, unit=unit, rest=rest)

    def goal(self, rows: Array | slice) -> Goal:
        """Return what the samples `rows` are measured against.

        Targets that are not stored, because no step reads them, are computed here.
        """
        targets = {edge: value[rows] for edge, value in self.targets.items()}
        if not targets:
            real = {edge: value[rows] for edge, value in self.float_inputs.items()}
            edges = sites(self.unit, self.phase.terms, self.logits)
            targets = evaluate(self.float_network, real, edges)
        felt = {edge: value[rows] for edge, value in self.felt.items()}
        labels = {edge: value[rows] for edge, value in self.labels.items()}
        return Goal(targets, felt, self.powers, self.logits, labels)

    @cached_property
    def quantizer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample at every activation quantizer that runs in this unit."""
        nodes = [self.network.node(name) for name in self.unit.nodes]
        active = [node.name for node in nodes if node.op == "quantize"]
        one = {edge: value[:1] for edge, value in self.float_inputs.items()}
        own = {key: v for key, v in self.model.start.items() if key[0] in active}
        values = forward(self.network, one, self.unit.nodes, own).values
        return {name: values[name].shape[1:] for name in active}

    @cached_property
    def widest(self) -> int:
        """Bytes of one sample on the widest edge of a step, or in a kernel that joins some."""
        one = {edge: value[:1] for edge, value in {**self.inputs, **self.beside}.items()}
        start = brought(self.model.start, self.network.nodes)
        values = forward(self.network, one, self.nodes, start).values
        inner = (_inner(self.network.node(name), values) for name in self.nodes)
        return max(*(value.nbytes for value in values.values()), *inner)

    @property
    def quantized_layers(self) -> tuple[str, ...]:
        """Layers of the unit whose weights are quantized in this phase."""
        return self.unit.layers if "weights" in self.phase.quantize else ()


def _inner(node: Node, values: Mapping[str, Array]) -> int:
    """Return the bytes of what a joined node holds inside: tiles, which count by half, or patches.

    0 for any other node.
    """
    if node.op == "patches_product":
        return WEIGHT * values[node.inputs[0]].nbytes
    if node.op != "quantized_product":
        return 0
    features: int = values[node.inputs[0]].shape[1] * node.attr("geometry").taps
    return features * values[node.name][:, 0].nbytes
