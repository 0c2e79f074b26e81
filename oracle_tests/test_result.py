"""What a result can do: run in two ways, be saved and read back, print."""

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import (
    ADAQT,
    adaround,
    images,
    residual,
)
from refquant import numerics as nx
from refquant._bundle import BundleError, read_bundle
from refquant.deploy import run_fake
from refquant.pipeline import quantize

NETWORK = residual()
X = images(NETWORK)


def result_of(method=None, **options):
    return quantize(NETWORK, X, method or adaround(), weight_bits=3, steps=3, **options)


def test_integer_checks_its_words():
    """A misspelt epilogue gets the nearest one; requantize is checked in either epilogue."""
    result = result_of()
    with pytest.raises(ValueError, match="Did you mean 'fixed'"):
        result.integer(X, epilogue="fixd")
    for epilogue in ("float", "fixed"):
        with pytest.raises(ValueError, match=r"requantize is 'doubel'.*Did you mean 'double'"):
            result.integer(X, epilogue, requantize="doubel")
    with pytest.raises(ValueError, match=r"of shape \(24, 1, 4, 4\)"):
        result.network(X[:, :1])
    fixed = [result.integer(X, "fixed", requantize) for requantize in ("double", "single")]
    assert all(np.abs(logits - result.integer(X)).max() < 1.0 for logits in fixed)


def test_results_come_back_from_a_bundle_as_they_were_saved(tmp_path):
    """Codes, steps, biases and what was learnt, bit for bit; the manifest says how it was made."""
    with nx.arithmetic("pinned", slices=1):
        result = result_of(ADAQT, seed=4)
    place = result.save(tmp_path / "r")
    manifest, arrays = read_bundle(place)
    assert manifest == {**result.manifest(), "format": "refquant-result"}
    assert manifest["arithmetic"] == {"mode": "pinned", "slices": 1} and manifest["seed"] == 4
    assert manifest["setting"]["name"] == "adaqt" and manifest["run_id"] == result.run_id
    assert manifest["bits"] == {"weights": 3, "activations": 8, "first_last": 8}
    assert manifest["history"][0]["hard_end"] == result.history[0].hard_end
    for name, layer in result.layers.items():
        for field, value in layer._asdict().items():
            key = f"{name}/{field}"
            assert (key in arrays) == (value is not None)
            if value is not None:
                np.testing.assert_array_equal(arrays[key], value)
    beside = {"stem/bias", "dw/bias", "point/bias", "fc/bias"}
    edges = {
        f"{e}.q/{p}" for e in ("input", "r0", "r1", "r2", "gap") for p in ("s_x", "zero_point")
    }
    fields = ("codes", "s_w", "zero_point", "alpha", "xi", "eta")
    assert {*arrays} == beside | edges | {f"{n}/{f}" for n in result.layers for f in fields}
    np.testing.assert_array_equal(arrays["r1.q/s_x"], result.prepared.params[("r1.q", "s_x")])


def test_saving_does_not_overwrite(tmp_path):
    """Neither a full directory nor a file; a bundle only if told to; nothing is left behind."""
    result = result_of()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for place in ("full", "file", "file/below", "missing/below"):
        with pytest.raises(BundleError):
            result.save(tmp_path / place)
    with pytest.raises(BundleError, match="Only a bundle is overwritten"):
        result.save(tmp_path / "full", overwrite=True)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full", "mine"]
    place = result.save(str(tmp_path / "r"))
    with pytest.raises(BundleError, match="overwrite=True"):
        result.save(place)
    result_of(seed=1).save(place, overwrite=True)
    assert read_bundle(place).manifest["seed"] == 1


def test_a_result_prints_briefly():
    """Method, widths and layers."""
    assert repr(result_of()) == 'Result("test-adaround", W3A8, 4 layers)'


def test_calling_in_batches_changes_no_code():
    """300 images are more than one batch of `predict`."""
    result, x = result_of(), images(NETWORK, 300, seed=3)
    whole = run_fake(result.plan, x).output
    np.testing.assert_array_equal(result.network(x), whole)
    np.testing.assert_array_equal(result.integer(x), whole)
