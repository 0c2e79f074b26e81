"""The generated pages of the oracle tell of the corpus that is frozen now, as far as that is cheap.

What takes minutes or other people's libraries is left to the commands that the pages name.
"""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from refquant.oracle import corpus, read_expected
from refquant.oracle.registry import ops, variants
from validation.oracle_pairs import CLASSES
from validation.oracle_unknown import MEANING, VERDICTS, sample

VALIDATION = Path(__file__).parent.parent / "validation"
LISTS = sorted((VALIDATION / "backends").glob("*.toml"))
ON_GPUS = sorted((VALIDATION / "cuda").glob("*.toml"))


def page(name: str) -> str:
    """Return the text of a page."""
    return (VALIDATION / name).read_text(encoding="utf-8")


def rows(text: str, columns: int) -> list[list[str]]:
    """Return the cells of every line of a table with so many columns, heads left out."""
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]
    return [row for row in cells if len(row) == columns and not set("".join(row)) <= set("-")][1:]


def test_the_table_of_power_is_that_of_the_catalogue() -> None:
    """Ops, cases and bytes of the manifest; variants that can be told from the right one."""
    entries = corpus.manifest()["ops"]
    bugs = [variant.op for variant in variants() if not variant.equivalent]
    table = rows(page("oracle-power.md"), 6)
    found = {row[0]: (int(row[1]), int(row[2]), int(row[5])) for row in table}
    assert found == {
        op: (entries[op]["cases"], bugs.count(op), entries[op]["bytes"]) for op in ops()
    }, "run python -m validation.oracle_power"


def test_the_sentence_of_power_adds_up() -> None:
    """Its counts are the sums of the table, and every bug is caught."""
    text = page("oracle-power.md")
    table = rows(text, 6)
    wrong, caught, smoke = (sum(int(row[i]) for row in table) for i in (2, 3, 4))
    assert f"\n{wrong} wrong implementations, {caught} caught, {smoke} by the smoke tier" in text
    assert wrong == caught
    assert f"; {sum(bool(v.equivalent) for v in variants())} more are equivalent" in text
    known = {variant.id for variant in variants()}
    assert set(re.findall(r"`(\w+\.\w+)`", text)) <= known | {"validation.oracle_power"}


def test_pairs_of_bugs_are_counted_by_class() -> None:
    """Every pair is of one class, and none is missed that could have been named."""
    text = page("oracle-power.md")
    counts = {row[0]: int(row[1]) for row in rows(text, 3) if row[0] in CLASSES.values()}
    told = re.search(r"\n(\d+) pairs .*: (\d+) of these (\d+) are named", text)
    assert told and list(counts) == list(CLASSES.values())
    assert int(told[1]) == sum(counts.values()) == int(told[3]) + counts[CLASSES["hidden"]]
    assert int(told[2]) == counts[CLASSES["named"]] >= 0.95 * int(told[3])
    assert counts[CLASSES["missed"]] == 0


def test_bugs_that_nobody_listed_were_read() -> None:
    """Each that the page shows has a verdict, and the page repeats it."""
    text = page("oracle-unknown.md")
    told = {row[0].split("`")[1]: row[2] for row in rows(text, 3) if row[0].startswith("`")}
    assert told == VERDICTS == {v.id: VERDICTS.get(v.id) for v in sample()}
    for kind in MEANING:
        assert f"\n- {kind}, {list(told.values()).count(kind)} of {len(told)}:" in text


@pytest.mark.parametrize(
    "path", [*LISTS, *ON_GPUS], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_known_differences_name_cases_that_exist(path: Path) -> None:
    """Each entry at least one; ids change with their cases, and a list must follow."""
    ids = [f"{op}/{item.case.id}" for op in ops() for item in corpus.load(op)]
    for pattern, reason in read_expected(path).entries:
        assert any(fnmatchcase(case, pattern) for case in ids), pattern
        assert reason.strip() == reason and len(reason) > 20, pattern


def test_the_page_of_backends_repeats_the_lists() -> None:
    """Every entry with its reason, none that is on no list, and counts that fit the corpus."""
    from validation.oracle_backends import BACKENDS

    text = page("oracle-backends.md")
    known = {path.stem: set(read_expected(path).entries) for path in LISTS}
    printed = set(re.findall(r"^- `([^`]+)`: (.+)$", text, re.MULTILINE))
    assert printed <= set().union(*known.values())
    assert printed >= {
        entry for _, files, _ in BACKENDS for name in files for entry in known[Path(name).stem]
    }
    sections, table = text.split("\n## ")[1:], rows(text, 6)
    assert len(table) >= len(BACKENDS)  # compiled ones are written on request
    for name, tier, cases, count, failures, differences in table:
        assert int(cases) <= corpus.manifest()["floor"][tier] and int(count) <= len(ops())
        own = next((s for s in sections if s.startswith(f"{name}\n")), "")
        assert (int(differences), failures) == (own.count("\n- `"), "0"), name


def test_the_page_of_blind_bugs_counts_what_is_kept() -> None:
    """The implementations that were written without sight of the goldens, and what became of them.

    First measurements are history: 436, 659 and 305 wrong ones of ops whose right one passed.
    """
    from validation.blind import sets
    from validation.blind.survivors import REASONS, SECOND, THIRD

    first, second, third = sets.first(), sets.second(), sets.third()
    assert (len(first.right), len(first.wrong)) == (82, 490) and set(first.right) <= set(ops())
    described = set(ops()) - {"qdrop_step"}  # which came later than the sets
    assert (set(second.right), len(second.wrong)) == (described, 666)
    assert (set(third.right), len(third.wrong)) == (described, 305)
    known = {mistake.id for mistake in (*first.wrong, *second.wrong, *third.wrong)}
    for classes, missed in ((SECOND, 659 - 588), (THIRD, 305 - 288)):
        ids = " ".join(classes.values()).split()
        assert len(ids) == len(set(ids)) == missed and set(ids) <= known
    assert set(REASONS) <= known and set(THIRD) <= set(SECOND)
    text = page("oracle-blind.md")
    assert "| second set | 101 | 100 | 659 | **588 (89.2 %)** | 494 (75.0 %) |" in text
    assert "| third set | 101 | 101 | 305 | **288 (94.4 %)** | 254 (83.3 %) |" in text
    for ids in (*SECOND.values(), *THIRD.values()):
        assert f"| {len(ids.split())}: `{ids.split()[0]}`" in text
