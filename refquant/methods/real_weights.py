"""Real weights, quantized activations: the cleanest look at how activations are rounded.

Reference: Li et al., AQuant, arXiv:2208.11945, tables 1 and 2 (W32A4, W32A2; methods.md 13.5, 19).

    method       table's name   learns
    nearest-w32  Rounding       --
    a-rounding   A-rounding     --                  its own file
    qdrop-w32    QDrop          s_x
    aquant-w32   AQuant         s_x, border

`with_real_weights` takes from a method the quantizer of its weights, what is learnt of it and the
penalty on its rounding; a phase that has nothing left to learn goes. There are no integer products
then, so nothing is deployed. Quadratic for all networks here; for MobileNetV2 and MNasNet the paper
announces a linear border, ``BorderOptions(degree=1)`` (D31).
"""

from dataclasses import replace

from refquant.methods.aquant import AQUANT
from refquant.methods.nearest import NEAREST
from refquant.methods.phase import Phase
from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Setting

REFERENCE = "AQuant, arXiv:2208.11945, tables 1 and 2"


def with_real_weights(setting: Setting) -> Setting:
    """Return `setting` for real weights, called ``name-w32``.

    Parameters
    ----------
    setting : Setting
        With quantized activations.

    Returns
    -------
    Setting

    Raises
    ------
    ValueError
        If the setting quantizes nothing but weights.
    """
    gone = () if setting.weights is None else setting.weights.learnable
    phases = (_without(phase, gone) for phase in setting.phases)
    return replace(
        setting,
        name=f"{setting.name}-w32",
        reference=REFERENCE,
        parents=(setting.name,),
        weights=None,
        phases=tuple(phase for phase in phases if phase is not None),
    )


def _without(phase: Phase, gone: tuple[str, ...]) -> Phase | None:
    """The phase without the weights' parameters; None if it learns nothing else."""
    learn = tuple(entry for entry in phase.learn if entry[0] not in gone)
    if not learn:
        return None
    roles = tuple(role for role in phase.quantize if role != "weights")
    return replace(phase, learn=learn, quantize=roles, penalty=None, harden=())


NEAREST_W32 = with_real_weights(NEAREST)
QDROP_W32 = with_real_weights(QDROP)
AQUANT_W32 = with_real_weights(AQUANT)
