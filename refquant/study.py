"""A study: which runs are compared, and how they will be judged, said before anything is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from refquant.sweeps import Config

ALL = "all"  # the group of all architectures


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is compared, and how it is judged.

    Attributes
    ----------
    networks : tuple of str
        Names with their copy, ``"digits-resnet:1"``; copies of one name are one architecture.
    methods : tuple of str
    widths : tuple of (weight bits, activation bits)
    seeds : tuple of int
    pairs : tuple of (baseline, candidate)
    steps, first_last_bits, calibration, arithmetic
        As in `Config`.
    resamples : int
        Of the bootstrap.
    level : float
        Of the intervals.
    draw_seed : int
        Decides the resamples.
    """

    networks: tuple[str, ...]
    methods: tuple[str, ...]
    widths: tuple[tuple[int, int], ...] = ((4, 4), (2, 2))
    seeds: tuple[int, ...] = (0,)
    pairs: tuple[tuple[str, str], ...] = ()
    steps: int | None = None
    first_last_bits: int | None = 8
    calibration: int = 1024
    arithmetic: Literal["fast", "pinned"] = "fast"
    resamples: int = 2000
    level: float = 0.95
    draw_seed: int = 0

    @property
    def architectures(self) -> dict[str, tuple[str, ...]]:
        """The copies of every architecture."""
        names = dict.fromkeys(n.partition(":")[0] for n in self.networks)
        return {a: tuple(n for n in self.networks if n.partition(":")[0] == a) for a in names}

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The architectures that a number is a mean over: each alone, and all if several."""
        alone: dict[str, tuple[str, ...]] = {name: (name,) for name in self.architectures}
        return {ALL: tuple(alone), **alone} if len(alone) > 1 else alone

    def config(self, network: str, method: str, width: tuple[int, int], seed: int) -> Config:
        """Return one run of the study."""
        return Config(
            network=network,
            method=method,
            weight_bits=width[0],
            act_bits=width[1],
            first_last_bits=self.first_last_bits,
            seed=seed,
            steps=self.steps,
            calibration=self.calibration,
            arithmetic=self.arithmetic,
        )

    def configs(self) -> list[Config]:
        """Return all runs: a whole comparison of one copy before the next copy begins."""
        copies = sorted(self.networks, key=lambda name: name.partition(":")[2])
        return [
            self.config(network, method, width, seed)
            for network in copies
            for width in self.widths
            for seed in self.seeds
            for method in self.methods
        ]


def all_pairs(methods: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return every pair of methods, the one listed first as the baseline."""
    return tuple((a, b) for i, a in enumerate(methods) for b in methods[i + 1 :])


def bits_name(width: tuple[int, int]) -> str:
    """Return ``"W4A8"`` for (4, 8)."""
    return f"W{width[0]}A{width[1]}"
