"""Maps and histograms of what is wrong, read back from what is printed; the page around them."""

import dataclasses
import json
import re
import xml.etree.ElementTree as Tree
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import Backend, goldens, half_away
from oracle_tests.wrong_samples import OP, at, case, mismatch, wrong
from refquant import oracle
from refquant._types import Array
from refquant.oracle import report_html
from refquant.oracle.build import Built, Golden
from refquant.oracle.case import Case
from refquant.oracle.compare import Mismatch
from refquant.oracle.pattern import pattern
from refquant.oracle.report_map import index_map, slices
from refquant.oracle.report_steps import bins, histogram
from refquant.oracle.wrong import LISTED, gather


def test_a_long_list_is_cut_and_says_so() -> None:
    """The count stays whole, and the caption of the map tells."""
    found = wrong(np.ones(LISTED + 5))
    assert len(found.at) == LISTED and found.count == LISTED + 5 and not found.complete
    assert f"the first {LISTED} of {LISTED + 5} wrong elements" in index_map(found, ("",))
    assert pattern(OP, case(), Mismatch("y", "value", "", elements=found)) == ""


NS = "{http://www.w3.org/2000/svg}"


def drawn(markup: str) -> list[dict[str, set[tuple[int, int]]]]:
    """Return, for each picture of a map, the cells that each class of path covers."""
    found = []
    for svg in Tree.fromstring(f"<x>{markup}</x>").iter("svg"):
        cells: dict[str, set[tuple[int, int]]] = {}
        size = int(re.search(r"v(\d+)h", str(svg.find("path").get("d"))).group(1))  # type: ignore
        for path in svg.iter("path"):
            runs = re.findall(r"M(\d+) (\d+)h(\d+)v\d+h-\d+z", str(path.get("d")))
            for x, y, wide in (tuple(int(n) // size for n in run) for run in runs):
                kind = str(path.get("class")) + str(path.get("fill-opacity") or "")
                cells.setdefault(kind, set()).update((y, x + i) for i in range(wide))
        found.append(cells)
    return found


def places(mask: Array) -> set[tuple[int, int]]:
    """Return the rows and columns at which a plane is True."""
    return {(int(r), int(c)) for r, c in np.argwhere(mask)}


def test_a_map_shows_the_wrong_elements_of_a_plane() -> None:
    """Read back from the path, every cell is where it was."""
    mask = np.random.default_rng(0).random((5, 7)) < 0.4
    found = drawn(index_map(wrong(mask), ("c_out", "k")))
    assert found == [{"ground": places(np.ones((5, 7))), "wrong1.00": places(mask)}]
    assert "rows: c_out (5), columns: k (7)" in index_map(wrong(mask), ("c_out", "k"))


def test_a_vector_is_laid_out_in_rows() -> None:
    """32 a row; nothing is drawn behind its end."""
    mask = np.zeros(70, bool)
    mask[[0, 33, 69]] = True
    (found,) = drawn(index_map(wrong(mask), ("",)))
    assert found["wrong1.00"] == {(0, 0), (1, 1), (2, 5)}
    assert len(found["ground"]) == 70 and (2, 6) not in found["ground"]
    assert "70 elements; 32 a row" in index_map(wrong(mask), ("",))


def test_further_axes_are_panels() -> None:
    """One for each slice, right ones too, as long as they are few."""
    mask = at(slice(None), 3, ..., -1)[:, 2:5]
    found = drawn(index_map(wrong(mask), ("n", "c", "h", "w")))
    assert [cells.get("wrong1.00", set()) for cells in found] == [
        places(plane) for plane in mask.reshape(6, 3, 4)
    ]
    assert [panel.start for panel in slices(mask)[0]][:3] == ["[0, 0]", "[0, 1]", "[0, 2]"]


def test_many_slices_have_an_overview() -> None:
    """A square each, and then the first that have wrong elements; the caption counts."""
    mask = at(slice(None), slice(3, None, 4))
    panels, says = slices(mask)
    assert [panel.start for panel in panels] == ["slices", "[0, 3]", "[0, 7]", "[1, 3]", "[1, 7]"]
    assert panels[0].wrong.tolist() == 2 * [[0, 0, 0, 12, 0, 0, 0, 12]]
    assert says == "a square for each of 16 slices; 4 of the 4 with wrong elements"


def test_a_large_plane_is_drawn_in_blocks() -> None:
    """130 x 200 elements in blocks of 3 x 4; a block with one wrong element of twelve is faint."""
    mask = np.zeros((130, 200), bool)
    mask[3, 7], mask[129, :4] = True, True  # the last row of blocks has one row of elements
    (panel,), _ = slices(mask)
    assert panel.wrong.shape == (44, 50) and panel.held.sum() == mask.size
    assert slices(np.ones((128, 64), bool))[0][0].step == (2, 1)
    assert panel.held[0, 0] == 12 and panel.held[43, 0] == 4
    (found,) = drawn(index_map(wrong(mask), ("", "")))
    assert found["wrong0.25"] == {(1, 1)} and found["wrong1.00"] == {(43, 0)}
    assert "a square stands for 3 x 4" in index_map(wrong(mask), ("", ""))


def test_a_long_vector_is_drawn_in_blocks() -> None:
    """10,000 elements: three a square, 64 squares a row."""
    mask = np.zeros(10_000, bool)
    mask[[0, 1, 2, 9_999]] = True
    (panel,), _ = slices(mask)
    assert panel.step == (192, 3) and panel.wrong.shape == (53, 64)
    assert panel.held.sum() == 10_000 and panel.wrong.sum() == 4
    assert (panel.wrong[0, 0], panel.held[0, 0]) == (3, 3)
    assert (panel.wrong[52, 5], panel.held[52, 5]) == (1, 1)  # 9,999 = 52 x 192 + 5 x 3
    assert slices(np.ones(600, bool))[0][0].step == (64, 1)


def test_bars_hold_whole_octaves() -> None:
    """Codes by name; floats from a power of two to the next ones, at most nine bars."""
    whole = bins(np.array([1.0, 1, 2, 3, 7]), "LSB")
    assert [(bar.text, bar.count) for bar in whole] == [("of 1", 2), ("of 2-3", 2), ("of 4-7", 1)]
    floats = bins(np.array([0.75, 1.0, 2.0**20]), "ulp")
    assert [bar.octaves for bar in floats][:2] == [(-1, 2), (2, 5)] and len(floats) == 8
    assert [bar.count for bar in floats] == [2, 0, 0, 0, 0, 0, 0, 1]


def test_a_histogram_says_what_it_shows() -> None:
    """In words too; exact elements have the line before the first bar."""
    found = histogram(wrong([1, 1, 1, 0], apart=0.5), "float32")
    svg = Tree.fromstring(f"<x>{found}</x>").find(".//svg")
    assert svg is not None and svg.get("role") == "img"
    assert (
        svg.get("aria-label")
        == svg.findtext("title")
        == ("Off by, in ulp of float32: 3 from 2^22 to below 2^23; right is only 0")
    )
    line = svg.find("path[@class='allowed']")
    assert line is not None and str(line.get("d")).startswith("M8 ")


def test_a_bound_is_marked_where_it_lies() -> None:
    """8 ulp allowed among bars from 4 to 64: one of four octaves, behind a margin of 24 pixels."""
    right, value = np.ones(3), 1 + np.ldexp([5.0, 12.0, 40.0], -23)
    limits = np.ldexp([8.0, 8.0, 8.0], -23)
    found = histogram(gather(np.ones(3, bool), (right, None), value, limits), "float32")
    assert 'class="allowed" d="M54 ' in found and "right is up to 8" in found
    value[0] = 1 + 2.0**-2  # 2^21 ulp: 19 octaves from 12, so three in a bar; 16 is a third of one
    wide = gather(np.ones(3, bool), (right, None), value, 2 * limits)
    assert 'class="allowed" d="M34 ' in histogram(wide, "float32")
    mixed = gather(np.ones(3, bool), (right, None), value, limits * [0, 1, 2])
    assert "right is up to 0 to 16, by element" in histogram(mixed, "float32")


def test_what_has_no_distance_stands_apart() -> None:
    """Zero has no last place, infinity no distance."""
    found = mismatch(np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 2.0, np.inf, 2.0])).elements
    assert found and "2 where 0 is right, 1 not finite" in histogram(found, "float64")


def test_booleans_have_no_histogram() -> None:
    """There is no distance."""
    found = mismatch(np.array([True, False]), np.array([False, True]), "on")
    assert found.elements and histogram(found.elements, "float32") == ""


class Balance(HTMLParser):
    """Counts tags that are opened and closed, and pictures without a text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Push, except what has no end."""
        if tag == "svg" and not {"aria-label", "aria-hidden"} & set(dict(attrs)):
            self.silent.append(str(attrs))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """Leave alone."""

    def handle_endtag(self, tag: str) -> None:
        """Pop the same tag."""
        assert self.open.pop() == tag


def big(shape: tuple[int, ...]) -> Built:
    """Return a case of relu of this shape, with its golden."""
    x = np.arange(np.prod(shape)).reshape(shape) % 251 - 1.0
    return Built(Case("relu", "T8", str(shape), {"x": x}), {"y": Golden(np.maximum(x, 0))}, {})


class Raised:
    """relu of the next number."""

    name, dtype = "raised", "float32"

    def run(self, op: str, inputs: Any, attrs: Any) -> Any:
        """Return one more than the input."""
        return {"y": np.maximum(inputs["x"] + 1, 0)}


def test_the_page_is_well_formed_and_its_pictures_have_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of vectors, planes and slices, small and large."""
    cases = [big(shape) for shape in ((3,), (700,), (9, 80), (2, 9, 4, 5), (5, 1, 2))]
    monkeypatch.setattr(report_html, "DRAWN", len(cases))
    page = oracle.verify(Raised(), cases=cases).to_html()
    parser = Balance()
    parser.feed(page)
    assert parser.open == [] and parser.silent == []
    assert page.count("<figure>") == 2 * len(cases) and "prefers-color-scheme: dark" in page
    for outside in ("http", "<script", "src=", "@import", "url("):
        assert outside not in page


def test_reports_tell_the_pattern_and_the_places() -> None:
    """Text and page the pattern, JSON the places: ties that are rounded away from zero."""
    report = oracle.verify(Backend({"rint": half_away}), cases=goldens(), ops="round")
    assert "      pattern: only where x is a tie" in report.to_text()
    assert "<b>Only where x is a tie.</b>" in report.to_html()
    first = json.loads(json.dumps(report.to_json()))["failures"][0]["mismatches"][0]
    failure = report.failures[0]
    x = failure.case.inputs["x"]
    places = first["elements"]["at"]
    assert first["elements"]["shape"] == list(x.shape) and len(places) == first["wrong"]
    assert all(abs(x.ravel()[i]) % 1 == 0.5 for i in places)
    assert dataclasses.replace(failure.mismatches[0], elements=None) == failure.mismatches[0]
