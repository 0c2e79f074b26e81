"""Embedded data and small trained networks: ``load``, ``data``, ``names``; ``train``, ``check``."""

from refquant.zoo.catalogue import data, load, names
from refquant.zoo.digits import Data, Split
from refquant.zoo.training import Check, check, train

__all__ = ["Check", "Data", "Split", "check", "data", "load", "names", "train"]
