"""Tools around the corpus: the gallery, the smoke tier, freezing, profiles."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import goldens, half_away, sample
from refquant.oracle import corpus, freeze, gallery, profiles, smoke
from refquant.oracle.build import Built, Golden, build
from refquant.oracle.case import Case
from refquant.oracle.declared import spoken
from refquant.oracle.diagnose import Seen, diagnose
from refquant.oracle.gallery import Candidate, Gallery, both, candidates_of, compatible
from refquant.oracle.op import Attr, Plain, Tensor, Variant
from refquant.oracle.pack import pack, unpack
from refquant.oracle.registry import ops, variants
from refquant.oracle.tiers import FORMATS

DOUBLE = FORMATS["float64"]


ATTR = Attr("rule", "a", "", ("a", "b"))
BY_TWO = Candidate(("sample.two",), "Doubled.", "x#1", {"double": lambda x: 2 * x}, {})
TALL = Candidate(("sample.tall",), "Turned.", "", {"shape": lambda x: x[:, None]}, {})
BROKEN = Candidate(("sample.broken",), "Raises.", "", {"double": lambda x: 1 // 0}, {})
READ = Candidate(("sample.rule=b",), "Read as b.", "", {}, {"rule": "b"})
PLAIN = Plain(
    lambda i, a, part: {"y": part.shape(part.double(i["x"])) + (a["rule"] == "b")},
    {"double": lambda x: x, "shape": lambda x: x},
)
X_TENSOR, Y_TENSOR = (Tensor(name, "float", "any", "") for name in "xy")
SAMPLE = sample((X_TENSOR,), (Y_TENSOR,), PLAIN, attrs=(ATTR,))
X = np.array([0.0, 1.0, 2.0, 3.0])
BUILT = Built(Case("sample", "T8", "", {"x": X}), {"y": Golden(X)}, {})


def shares(value: Any, *candidates: Candidate) -> list[float]:
    """Return how much of what a backend has wrong each candidate explains."""
    made = Gallery(SAMPLE, DOUBLE, candidates)
    return made.shares([(BUILT, {"y": np.asarray(value)})]).tolist()


def test_a_candidate_explains_what_it_gives_too() -> None:
    """Of wrong elements; each that it has wrong alone, or otherwise, is held against it."""
    assert shares(2 * X, BY_TWO, READ) == [1.0, 1 / 4]  # x + 1: right at one of 3, wrong at 0 too
    assert shares([0, 2, 4, 9], BY_TWO) == [2 / 3]
    assert shares([0, 1, 2, 9], BY_TWO) == [0.0]
    assert shares(X, BY_TWO) == [0.0]
    right = Candidate(("sample.right",), "", "", {}, {})
    assert shares(X * (1 + 2.0**-50), right) == [0.0]  # merely inexact: no bug's name


def test_candidates_that_fail_or_have_another_shape_stand_aside() -> None:
    """One explains an answer of its own shape, as one thing, and contradicts others."""
    assert shares(X[:, None], TALL, BROKEN, BY_TWO) == [1.0, 0.0, 0.0]
    assert shares(X[None], TALL) == [0.0]
    both_shapes = [(BUILT, {"y": X[:, None]}), (BUILT, {"y": X})]
    assert Gallery(SAMPLE, DOUBLE, (TALL,)).shares(both_shapes).tolist() == [1 / 2]
    wall = Gallery(SAMPLE, DOUBLE, (BROKEN, TALL, BY_TWO)).walls(BUILT)["y"]
    assert wall.present.tolist() == [2] and list(wall.misshapen) == [1]
    assert wall.off.tolist() == [[False, True, True, True]]


def test_two_bugs_of_different_parts_are_one_candidate() -> None:
    """Of the same part, or the same attribute, they are none."""
    two = both(BY_TWO, READ)
    assert two.ids == ("sample.two", "sample.rule=b") and two.source == "x#1"
    assert shares(2 * X + 1, BY_TWO, READ, two)[2] == 1.0
    assert shares((2 * X)[:, None], both(BY_TWO, TALL)) == [1.0]
    assert compatible(BY_TWO, TALL) and compatible(BY_TWO, READ)
    assert not compatible(BY_TWO, BROKEN) and not compatible(READ, READ)


def test_every_choice_of_an_attribute_is_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the variants of the op, of which equivalent ones are left out."""
    catalogue = (
        Variant("sample", "two", "Doubled.", "x#1", {"double": abs}),
        Variant("sample", "same", "", "", {"double": abs}, equivalent="proof"),
        Variant("other", "two", "Doubled.", "", {}),
    )
    monkeypatch.setattr(gallery, "variants", lambda: catalogue)
    ids = [candidate.ids for candidate in candidates_of(SAMPLE)]
    assert ids == [("sample.two",), ("sample.rule=a",), ("sample.rule=b",)]


def test_a_gallery_is_kept_by_case() -> None:
    """Made once, however many backends are compared."""
    made = Gallery(SAMPLE, DOUBLE, (BY_TWO,))
    assert made.walls(BUILT) is made.walls(BUILT)
    found = diagnose(SAMPLE, [Seen(BUILT, {"y": 2 * X})], DOUBLE, made)
    assert found.variants == ("sample.two",) and found.share == 1.0


def test_a_case_catches_the_variants_that_fail_it() -> None:
    """Ties catch the rules of ties."""
    item = goldens()[0]
    caught = smoke.catches(ops()["round"], item)
    assert "round.rint_half_away" in caught
    assert all(name.startswith("round.") for name in caught)
    assert not caught & {v.id for v in variants() if v.equivalent}


def test_a_case_is_worth_what_it_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 for a new bug, 64^-k for one known; 1/4 for what no case shows, 1/16 for a shape."""
    items = [item for item in goldens() if item.case.op == "round"][:3]
    first, second, third = (item.case.id for item in items)
    bugs = {first: {"a", "b"}, second: {"a"}, third: {"a", "c"}}
    seen = {first: {"T8"}, second: {"T8", "attribute"}, third: {"T8"}}
    monkeypatch.setattr(smoke, "catches", lambda op, item: frozenset(bugs[item.case.id]))
    monkeypatch.setattr(smoke, "shows", lambda op, item: frozenset(seen[item.case.id]))
    shapes = {first: set(), second: {"square"}, third: {"square"}}
    monkeypatch.setattr(smoke, "sizes", lambda item: frozenset(shapes[item.case.id]))
    shelf, chosen = smoke.Shelf(items), set[str]()
    shelf.size, shelf.names = {first: 10, second: 10, third: 12}, 4
    assert [shelf.value(case) for case in (first, second, third)] == [
        2 + 1 / 4,
        1 + 2 / 4 + 1 / 16,
        2 + 1 / 4 + 1 / 16,
    ]
    assert shelf.best(100) == first and shelf.take(chosen) == 10 + 4  # the names, once
    assert [shelf.value(case) for case in (second, third)] == [
        1 / 64 + 1 / 4 + 1 / 16,
        1 / 64 + 1 + 1 / 16,
    ]
    assert shelf.best(10) == second and shelf.best(100) == second  # what fitted is kept
    shelf = smoke.Shelf(items)
    shelf.size, shelf.names = {first: 10, second: 10, third: 12}, 0
    assert shelf.best(100) == first and shelf.take(chosen) == 10
    assert shelf.best(100) == third and shelf.take(chosen) == 12
    assert shelf.value(second) == 1 / 64**2 + 1 / 4 and shelf.best(9) is None
    assert chosen == {first, third}


def test_the_smoke_tier_fills_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything where there is room, with nothing where there is none."""
    families = [[i for i in goldens() if i.case.op == op][:2] for op in ("round", "border_round")]
    monkeypatch.setattr(smoke, "catches", lambda op, item: frozenset({item.case.id}))
    assert smoke.smoke(families) == [item.case.id for cases in families for item in cases]
    monkeypatch.setattr(smoke, "MAX_BYTES", 10)
    assert smoke.smoke(families) == []


def test_the_frozen_smoke_tier_has_a_case_of_every_op() -> None:
    """In the order of the corpus."""
    listed = corpus.manifest()["smoke"]
    assert len(set(listed)) == len(listed) == corpus.manifest()["floor"]["smoke"]
    assert all(corpus.select(op, "smoke") for op in ops())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of one op, built and kept in a folder."""
    item = build(ops()["round"], goldens()[0].case)
    files = {"round": pack("round", [item, goldens()[1]])}
    monkeypatch.setattr(freeze, "HOME", tmp_path)
    monkeypatch.setattr(freeze, "regenerate", lambda: files)
    monkeypatch.setattr(smoke, "catches", lambda op, item: frozenset({item.case.id}))
    return tmp_path


def test_a_corpus_is_written_and_is_the_same_again(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest has the hashes; a byte that differs is told."""
    monkeypatch.setattr(freeze, "graves", lambda files, reason: [])
    assert freeze.main([]) == 0
    manifest = json.loads((home / corpus.MANIFEST).read_text())
    assert manifest["ops"]["round"]["cases"] == 2 and manifest["floor"]["full"] == 2
    assert manifest["elements"]["all"] == sum(g.outputs["y"].value.size for g in goldens()[:2])
    assert manifest["smoke"] == [item.case.id for item in goldens()[:2]]
    assert freeze.main(["--check"]) == 0
    (home / "round.bin").write_bytes(b"x")
    (home / "stale.bin").write_bytes(b"x")
    assert freeze.main(["--check"]) == 1
    assert capsys.readouterr().out.endswith("the same, byte for byte\ndiffers: round.bin\n")
    assert freeze.main([]) == 0 and not (home / "stale.bin").exists()


def test_cases_disappear_with_a_reason_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which becomes their tombstone, behind the older ones."""
    (home / corpus.MANIFEST).write_text("{}")
    old = {"id": "0" * 16, "op": "round", "reason": "older"}
    monkeypatch.setattr(corpus, "manifest", lambda: {"ops": {"round": {}}, "tombstones": [old]})
    monkeypatch.setattr(corpus, "load", lambda op: goldens()[:2])
    files = {"round": pack("round", [goldens()[0]])}
    gone = goldens()[1].case.id
    with pytest.raises(ValueError, match=f"1 cases would disappear .round/{gone}"):
        freeze.graves(files, "")
    assert freeze.graves(files, "wrong") == [old, {"id": gone, "op": "round", "reason": "wrong"}]
    assert freeze.graves({"round": pack("round", list(goldens()[:2]))}, "") == [old]


def test_packing_keeps_a_case() -> None:
    """Id, goldens and agreement."""
    _, (item,) = unpack(pack("round", [goldens()[0]]))
    assert item.case.id == goldens()[0].case.id and item.agreement == goldens()[0].agreement


def test_profiles_fix_fields_of_every_op_that_has_them() -> None:
    """A field without an op spreads; one with an op stays; paper has every default."""
    fields = [name for op in ops().values() for name in op.dialect if op.name != "fake_quant"]
    spread = max(fields, key=fields.count)
    owners = {op.name: op for op in ops().values() if spread in op.dialect}
    value = next(a.choices[-1] for a in next(iter(owners.values())).attrs if a.name == spread)
    found = profiles.resolve({spread: value, "fake_quant.nan": "low"})
    assert len(owners) > 1 and found.pop("fake_quant.nan") == "low"
    assert found == {f"{name}.{spread}": value for name in owners}
    paper = profiles.resolve("paper")
    assert profiles.resolve("any") == {} and len(paper) > 20
    for name, value in paper.items():
        op, _, attr = name.partition(".")
        assert attr in ops()[op].dialect
        assert value == next(a.default for a in ops()[op].attrs if a.name == attr)


@pytest.mark.parametrize("name", profiles.PROFILES)
def test_every_profile_can_be_spoken(name: str) -> None:
    """Its fields exist, and some case of each op that it mentions is left; of runs perhaps not."""
    fields = profiles.resolve(name)
    for op in {field.partition(".")[0] for field in fields if "_step." not in field}:
        assert spoken(ops()[op], corpus.load(op), fields), op


def test_half_away_is_a_wrong_rint() -> None:
    """The helper that other tests lean on."""
    assert half_away(np.array([0.5, -2.5, 1.2])).tolist() == [1.0, -3.0, 1.0]
