"""The embedded digits: the right data, cut into parts that do not touch."""

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant import zoo
from refquant.zoo.build import embed_digits
from refquant.zoo.digits import FILE, apportion, stratified, validation_cut
from refquant.zoo.files import npy_bytes, read_array, read_sums, write_files
from refquant.zoo.shift import shifted

# Of the 64 pixels of each image, then its label, image by image, computed from the arrays of the
# scikit-learn wheel (uint8, C order), not from the embedded file.
DIGITS_SHA256 = "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2"
TRAIN_ROWS_SHA256 = "d1e45ecf5182a493ac91d408c3403f1715a25121af9233ebb63cb3e05f16af51"
CLASS_COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI's table of optdigits.tes


def test_the_embedded_digits_are_those_of_scikit_learn():
    table = read_array(FILE)
    assert hashlib.sha256(table.tobytes()).hexdigest() == DIGITS_SHA256
    assert table.dtype == np.uint8
    assert np.bincount(table[:, 64]).tolist() == CLASS_COUNTS
    # The first rows of the first image, as printed in scikit-learn's documentation of load_digits.
    assert table[0, :16].tolist() == [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]


def test_every_embedded_file_is_listed_and_hashes_to_its_line():
    for name in read_sums():
        read_array(name)


def test_a_damaged_file_is_refused(monkeypatch):
    true_sums = read_sums()
    monkeypatch.setattr(zoo.files, "read_sums", lambda: {**true_sums, FILE: "0" * 64})
    with pytest.raises(ValueError, match=r"digits\.npy with SHA-256 .* install refquant again"):
        read_array(FILE)


def test_the_parts_have_the_promised_shapes_types_and_values():
    data = zoo.data("digits")
    assert data.train.x.shape == (1024, 1, 8, 8) and data.test.x.shape == (773, 1, 8, 8)
    for part in (data.train, data.test):
        assert part.x.dtype == np.float32 and part.y.dtype == np.int64
        assert part.x.min() == 0.0 and part.x.max() == 1.0
        assert np.array_equal(part.x * 16, np.rint(part.x * 16))
        assert not part.x.flags.writeable and not part.y.flags.writeable
    assert data.calib.y is None
    assert np.array_equal(data.calib.x, data.train.x)


def test_the_parts_are_the_whole_and_disjoint():
    """No two of the 1,797 images are equal, so the images themselves tell rows apart."""
    table = read_array(FILE)
    data = zoo.data()
    whole = {row[:64].tobytes(): int(row[64]) for row in table}
    train, test = (
        {
            (image * 16).astype(np.uint8).tobytes(): int(label)
            for image, label in zip(*part, strict=True)
        }
        for part in (data.train, data.test)
    )
    assert len(whole) == 1797
    assert not train.keys() & test.keys()
    assert train | test == whole


def test_the_cut_is_stratified():
    data = zoo.data()
    for label, count in enumerate(CLASS_COUNTS):
        fair = Fraction(1024 * count, 1797)
        assert abs(int((data.train.y == label).sum()) - fair) < 1


def test_the_cut_never_changes():
    """Weights, goldens and result tables depend on it; the digest was noted when it was made."""
    y = read_array(FILE)[:, 64].astype(np.int64)
    train, _ = stratified(y, 1024, 1797)
    assert hashlib.sha256(train.astype("<i8").tobytes()).hexdigest() == TRAIN_ROWS_SHA256


def test_the_validation_cut_lies_inside_the_training_part():
    y = zoo.data().train.y
    fit, held = validation_cut(y)
    assert len(held) == 256
    assert np.array_equal(np.sort(np.concatenate([fit, held])), np.arange(1024))


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        # 7 * 3/6 = 3.5, 7 * 2/6 = 2.33, 7 * 1/6 = 1.17: floors 3, 2, 1, one left for the 0.5
        ([3, 2, 1], 7, [4, 2, 1]),
        # 5 * 1/3 = 1.67 three times: floors 1, two left over go to the first classes
        ([1, 1, 1], 5, [2, 2, 1]),
        ([4, 4], 8, [4, 4]),
        ([5, 0], 3, [3, 0]),
    ],
)
def test_apportion_by_hand(counts, size, expected):
    assert apportion(counts, size) == expected


@given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(any), data=st.data())
def test_apportion_gives_every_class_its_share_to_within_one(counts, data):
    size = data.draw(st.integers(0, sum(counts)), label="size")
    shares = apportion(counts, size)
    assert sum(shares) == size
    for share, count in zip(shares, counts, strict=True):
        assert abs(share - Fraction(size * count, sum(counts))) < 1
        assert 0 <= share <= count


@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(0, 9), max_size=5).filter(any))
def test_stratified_cuts_every_row_once(seed, sizes):
    y = np.repeat(np.arange(len(sizes)), sizes)
    size = len(y) // 2
    first, second = stratified(y, size, seed)
    assert len(first) == size
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(len(y)))


def test_an_unknown_data_set_names_the_known_one():
    with pytest.raises(ValueError, match=r"zoo\.data.*Did you mean 'digits'"):
        zoo.data("digit")


def test_embed_digits_writes_the_embedded_file_again(tmp_path):
    table = read_array(FILE)
    source = tmp_path / "digits.npz"
    np.savez(source, x=table[:, :64].reshape(-1, 8, 8), y=table[:, 64])
    embed_digits(source, tmp_path)
    assert (tmp_path / FILE).read_bytes() == npy_bytes(table)
    assert read_sums()[FILE] in (tmp_path / "SHA256SUMS").read_text()


def test_embed_digits_refuses_other_data(tmp_path):
    source = tmp_path / "digits.npz"
    np.savez(source, x=np.full((1797, 8, 8), 17, np.uint8), y=np.arange(1797) % 10)
    with pytest.raises(ValueError, match=r"0\.\.16"):
        embed_digits(source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npz"]


def test_write_files_lists_old_and_new_files_and_leaves_no_temporary(tmp_path):
    write_files(tmp_path, {"b": b"1", "a": b"2"})
    write_files(tmp_path, {"b": b"3"})
    lines = [f"{hashlib.sha256(c).hexdigest()}  {n}\n" for n, c in (("a", b"2"), ("b", b"3"))]
    assert (tmp_path / "SHA256SUMS").read_text() == "".join(lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SHA256SUMS", "a", "b"]


def test_npy_bytes_are_little_endian_whatever_the_array():
    numbers = [1.5, -2.0]
    big, little = (npy_bytes(np.array(numbers, dtype=d)) for d in (">f4", "<f4"))
    assert big == little
    assert big.endswith(np.array(numbers, dtype="<f4").tobytes())


def _moved_by_hand(image, down, right):
    """The moved image in exact arithmetic; entry (i, j) reads row i + down, column j + right."""
    h, w = len(image), len(image[0])

    def pixel(i, j):
        return Fraction(image[i][j]) if 0 <= i < h and 0 <= j < w else Fraction(0)

    k, m = down // 8, right // 8
    f, g = Fraction(down - 8 * k, 8), Fraction(right - 8 * m, 8)
    return [
        [
            (1 - f) * (1 - g) * pixel(i + k, j + m)
            + (1 - f) * g * pixel(i + k, j + m + 1)
            + f * (1 - g) * pixel(i + k + 1, j + m)
            + f * g * pixel(i + k + 1, j + m + 1)
            for j in range(w)
        ]
        for i in range(h)
    ]


@given(reach=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_shifted_is_bilinear_and_exact_on_the_digits(reach, seed):
    from refquant import numerics as nx

    x = zoo.data().train.x[:3].astype(np.float64)
    by = nx.counter.integers((seed,), 2 * reach + 1, (3, 2)) - reach
    moved = shifted(x, reach, (seed,))
    for image, got, (down, right) in zip(x, moved, by.tolist(), strict=True):
        assert got[0].tolist() == _moved_by_hand(image[0].tolist(), down, right)


def test_shifted_by_nothing_changes_nothing():
    x = zoo.data().train.x[:4].astype(np.float64)
    assert np.array_equal(shifted(x, 0, (1,)), x)
