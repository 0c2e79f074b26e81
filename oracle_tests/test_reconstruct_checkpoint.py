"""Checkpoints: an interrupted run loses no finished unit, and damaged files are noticed."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import ADAQT, CASE_111, CASE_112, adaround, images, residual
from refquant import numerics as nx
from refquant._bundle import BundleError, read_bundle, write_bundle
from refquant.methods import METHODS
from refquant.pipeline import quantize
from refquant.reconstruct.checkpoint import Store, record_from_data, record_to_data
from refquant.reconstruct.history import Record

STEPS = 4
UNHARDENED = replace(
    CASE_111,
    name="unhardened",
    order="phase-first",
    phases=(replace(CASE_111.phases[0], harden=()), CASE_111.phases[1]),
)


class Killer:
    """A progress that counts ticks, and raises KeyboardInterrupt at one of them."""

    def __init__(self, at=None):
        self.at, self.ticks, self.labels = at, 0, []

    def __call__(self, label, steps):
        self.labels.append(label)
        return self.tick

    def tick(self):
        self.ticks += 1
        if self.ticks == self.at:
            raise KeyboardInterrupt


def run(setting, checkpoint=None, progress=None, network=None, **options):
    network = residual() if network is None else network
    options = {"weight_bits": 3, "act_bits": 4, "steps": STEPS, **options}
    x = options.pop("x", images(network))
    return quantize(network, x, setting, checkpoint=checkpoint, progress=progress, **options)


def same(a, b):
    """Every array, every record and every logit of two results, bit for bit."""
    assert a.history == b.history and a.run_id == b.run_id
    assert a.layers.keys() == b.layers.keys()
    for name, layer in a.layers.items():
        for left, right in zip(layer, b.layers[name], strict=True):
            assert (left is None) == (right is None)
            if left is not None:
                assert left.dtype == right.dtype
                np.testing.assert_array_equal(left, right)
    assert a.prepared.params.keys() == b.prepared.params.keys()
    for key, value in a.prepared.params.items():
        np.testing.assert_array_equal(value, b.prepared.params[key])
    x = images(a.prepared, 5, seed=9)
    assert a.network(x).tobytes() == b.network(x).tobytes()


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize(
    ("setting", "units"),
    [
        *((adaround(), 4), (CASE_111, 8), (CASE_112, 3), (UNHARDENED, 8), (ADAQT, 1)),
        *((METHODS["brecq-fisher-full"], 6), (METHODS["pd-quant+ols"], 3)),
    ],
    ids=lambda v: getattr(v, "name", v),
)
def test_a_killed_run_resumes_where_it_was(setting, units, mode, tmp_path):
    """Finished units are not run again, and the result is that of an uninterrupted run."""
    with nx.arithmetic(mode):
        whole = run(setting)
        killed_in = units // 2
        killer = Killer(at=killed_in * STEPS + 2)
        with pytest.raises(KeyboardInterrupt):
            run(setting, tmp_path, killer)
        assert len(killer.labels) == killed_in + 1
        resumed = Killer()
        result = run(setting, tmp_path, resumed)
        assert resumed.ticks == (units - killed_in) * STEPS
        same(result, whole)
        again = Killer()
        same(run(setting, tmp_path, again), whole)
        assert again.ticks == 0
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def changed_network():
    network = residual()
    return replace(
        network, params={**network.params, ("fc", "bias"): network.params[("fc", "bias")] + 1e-9}
    )


OTHERS = {
    "seed": {"seed": 1},
    "steps": {"steps": STEPS + 1},
    "weight bits": {"weight_bits": 4},
    "act bits": {"act_bits": 5},
    "first and last": {"first_last_bits": None},
    "dtype": {"dtype": "float32"},
    "images": {"x": images(residual(), seed=2)},
    "network": {"network": changed_network()},
    "blocks": {"network": replace(residual(), blocks=())},
    "name": {"network": replace(residual(), name="other")},
}


@pytest.mark.parametrize("what", [*OTHERS, "setting", "arithmetic"])
def test_another_configuration_does_not_pick_up_these_units(what, tmp_path):
    """Whatever decides the result is part of the folder's name."""
    first = run(adaround(), tmp_path)
    counter = Killer()
    if what == "arithmetic":
        with nx.arithmetic("pinned"):
            other = run(adaround(), tmp_path, counter)
    elif what == "setting":
        other = run(adaround(batch=7), tmp_path, counter)
    else:
        other = run(adaround(), tmp_path, counter, **OTHERS[what])
    steps = OTHERS.get(what, {}).get("steps", STEPS)
    assert counter.ticks == 4 * steps and other.run_id != first.run_id
    assert len(list(tmp_path.iterdir())) == 2


def units_of(folder):
    return sorted(path for path in folder.rglob("phase*") if path.is_dir())


def truncate(path):
    array = next(path.glob("*.npy"))
    array.write_bytes(array.read_bytes()[:-1])


def flip(path):
    array = next(path.glob("*.npy"))
    data = bytearray(array.read_bytes())
    data[-1] ^= 1
    array.write_bytes(bytes(data))


def edit(change):
    def damage(path):
        manifest = json.loads((path / "manifest.json").read_text())
        change(manifest)
        (path / "manifest.json").write_text(json.dumps(manifest))

    return damage


def rewrite(change):
    def damage(path):
        manifest, arrays = read_bundle(path)
        shutil.rmtree(path)
        write_bundle(path, manifest, change(dict(arrays)))

    return damage


def replaced_by_a_file(path):
    shutil.rmtree(path)
    path.write_text("not a bundle")


DAMAGES = {
    "truncated array": truncate,
    "flipped bit": flip,
    "no manifest": lambda path: (path / "manifest.json").unlink(),
    "manifest cut": lambda path: (path / "manifest.json").write_text("{"),
    "no record": edit(lambda m: m.pop("record")),
    "record without a field": edit(lambda m: m["record"].pop("hard_end")),
    "record of another type": edit(lambda m: m["record"].update(hard_end="low")),
    "another format": edit(lambda m: m.update(format="refquant-result")),
    "an array less": rewrite(lambda a: {k: v for k, v in a.items() if not k.endswith("alpha")}),
    "another shape": rewrite(lambda a: {k: v[:1] if "alpha" in k else v for k, v in a.items()}),
    "another dtype": rewrite(
        lambda a: {k: v.astype(np.float32) if "alpha" in k else v for k, v in a.items()}
    ),
    "a file in the way": replaced_by_a_file,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_a_clear_error(damage, tmp_path):
    """It names the place; nothing is repaired silently and nothing else is touched."""
    run(adaround(), tmp_path)
    place = units_of(tmp_path)[1]
    DAMAGES[damage](place)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    counter = Killer()
    with pytest.raises(BundleError, match=place.name):
        run(adaround(), tmp_path, counter)
    assert counter.ticks == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_half_written_unit_is_not_seen(tmp_path):
    """A writer that died leaves a folder under a temporary name; the unit runs again."""
    whole = run(adaround(), tmp_path)
    place = units_of(tmp_path)[2]
    place.rename(place.with_name(f".{place.name}.0123456789ab.part"))
    counter = Killer()
    same(run(adaround(), tmp_path, counter), whole)
    assert counter.ticks == STEPS


def test_two_processes_may_share_a_checkpoint(tmp_path):
    """The second to finish a unit finds it there, and replaces it by the same."""
    store = Store(tmp_path)
    record = Record(0, "a", (1,), (0.5,), (0.0,), (), 3, (1.0,), 2.0, 1.0, False)
    own = {("a/b", "alpha"): np.arange(3.0), ("a/b", "codes"): np.arange(3)}
    for _ in range(2):
        store.keep("phase0-unit000", own, record)
    found, again = store.find("phase0-unit000", own)
    assert again == record and found.keys() == own.keys()
    for key, value in own.items():
        np.testing.assert_array_equal(found[key], value)
    assert store.find("phase0-unit001", own) is None


def test_records_survive_as_json():
    """Numbers bit for bit, infinities and NaN as text, a unit called "nan" as it is."""
    columns = ((1, 2), (0.1, math.inf), (1e-300, 0.0), (20.0, 2.0))
    record = Record(1, "nan", *columns, 5, (0.5, 1.0), -math.inf, 1 / 3, True)
    data = json.loads(json.dumps(record_to_data(record), allow_nan=False))
    assert record_from_data(data) == record
    odd = record_from_data(record_to_data(record._replace(hard_start=math.nan)))
    assert math.isnan(odd.hard_start) and odd[:7] == record[:7]
    for wrong in (None, [], {}, {**data, "more": 1}, {**data, "phase": True}):
        assert record_from_data(wrong) is None
