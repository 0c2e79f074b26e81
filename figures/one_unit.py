"""Walk refquant's own loop up to one unit, so that a figure can watch that unit being learnt.

`rq.quantize` returns what was learnt, not the way there. These are the steps it takes itself.
"""

import refquant as rq
from refquant.network.graph import Key
from refquant.progress import silent
from refquant.reconstruct.learn import learn_unit
from refquant.reconstruct.loop import Run, Supply, jobs
from refquant.reconstruct.model import Bits, build_model, part_of, with_part
from refquant.reconstruct.unit import thaw


def prepared(setting: rq.Setting, bits: Bits, steps: int, images: int, unit: str):
    """Return the task of `unit` of digits-resnet and its state before the first step.

    The units before it have been learnt, with as many steps each. For settings of one phase.
    """
    network, x = rq.zoo.load("digits-resnet"), rq.zoo.data("digits").calib.x[:images]
    model = build_model(network, x.astype("float64"), setting, bits)
    run = Run(seed=0, steps=steps, progress=silent)
    state: dict[Key, object] = dict(model.start)
    supply = Supply.begin(model, setting.phases[0], x.astype("float64"))
    for number, phase, index, found in jobs(model.network, setting):
        supply = supply.to(found, model, state)
        task = supply.task(model, found, run, (run.seed, number, index))
        if found.name == unit:
            return task, thaw(task, part_of(state, found))
        own, _ = learn_unit(task, state, run.progress(found.name, phase.steps))
        state = with_part(state, found, own)
    raise ValueError(f"digits-resnet has no unit {unit!r}")
