"""What a step found to act on in a network: one line, which the result keeps and the reports show.

A step with a pattern has ``explain(network)``, the places where it acts. Where there is none the
step changes nothing, and a reader of the result has to be told.
"""

from collections.abc import Collection
from typing import Any

from refquant.network import Network


def note(part: Any, network: Network, places: Collection[Any]) -> str:
    """Return the line about a step or a component that acts at these places.

    Parameters
    ----------
    part : step or component
    network : Network
    places : collection
        Printed one by one; empty where its pattern is absent.
    """
    name = type(part).__name__
    if not places:
        return f"{name}: its pattern is absent from {network.name!r}, which stays as it is"
    return f"{name}: {len(places)} of {network.name!r}: " + "; ".join(map(str, places))


def report(step: Any, network: Network) -> str:
    """Return the line about a preparing step, from its own ``explain``."""
    return note(step, network, step.explain(network))
