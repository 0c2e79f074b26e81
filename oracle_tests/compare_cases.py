"""Rows as a sweep returns them, with results per image that are easy to follow by hand."""

from dataclasses import asdict
from typing import Any

from refquant.rows import SCHEMA
from refquant.study import Study
from refquant.sweeps import Config

METHODS = ("nearest", "adaround")
UNIT = {"phase": 0, "unit": "fc", "hard_start": 4.0, "hard_end": 1.0, "kept_start": False}


def study(**fields: Any) -> Study:
    """Return a small study of nearest and adaround at one bit setting."""
    defaults: dict[str, Any] = {
        "networks": ("digits-mlp:1", "digits-mlp:2"),
        "methods": METHODS,
        "widths": ((2, 2),),
        "pairs": (METHODS,),
        "resamples": 200,
    }
    return Study(**(defaults | fields))


def row(config: Config, noise: list[float], kl: list[float], **fields: Any) -> dict[str, Any]:
    """Return a row with this noise and divergence per image; a signal of 8 on every image."""
    right = fields.pop("right", [1] * len(noise))
    return {
        **asdict(config),
        "schema": SCHEMA,
        "accuracy": sum(right) / len(right),
        "float_accuracy": 1.0,
        "sqnr_db": 3.0,
        "kl": sum(kl) / len(kl),
        "integer_equals_fake": True,
        "codes_sha256": "0" * 64,
        "seconds": 1.0,
        "images": {"signal": [8.0] * len(noise), "noise": noise, "kl": kl, "right": right},
        "units": [UNIT | {"decided": 0.5, "rounded": 6}] if config.method == "adaround" else [],
        **fields,
    }
