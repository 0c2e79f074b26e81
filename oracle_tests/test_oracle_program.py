"""Programs that hang, flood, die or are slow: the case is found, the others are judged."""

import os
from pathlib import Path
from typing import Any

import pytest

from refquant import oracle
from refquant.cli.main import main
from refquant.oracle import child, corpus
from refquant.oracle import program as module
from refquant.oracle.program import ask_program, place, smaller
from refquant.oracle.shrink import reproduce

LINEAR, RELU = (
    sorted(corpus.load(op), key=lambda item: item.case.id)[:n]
    for op, n in (("linear", 4), ("relu", 2))
)  # in the order of a shell
CASES = [*LINEAR, *RELU]
VICTIM = LINEAR[2]
SHORT = 0.5  # seconds; a run of the program takes a few hundredths
PROGRAM = """\
for case in "$1"/*/*/; do  # right answers, copied from the vectors, until something happens
    case=${case%/}; id=${case##*/}; op=${case%/*}; op=${op##*/}; home=$2/$op/$id
    if IF; then
        HAPPENS
    fi
    mkdir -p "$home" && cp "$case/out.y.npy" "$home/y.npy"
done
"""
HANG = "sleep 600"
DIE = "kill -SEGV $$"
HALF = 'mkdir -p "$home"; head -c 140 "$case/out.y.npy" > "$home/y.npy"'


@pytest.fixture
def program(tmp_path: Path) -> Any:
    """Return a function that writes a program and returns its specification."""

    def make(happens: str, where: str = f"[ $id = {VICTIM.case.id} ]") -> str:
        text = PROGRAM.replace("IF", where).replace("HAPPENS", happens)
        (tmp_path / "program.sh").write_text(text, encoding="ascii")
        return f"cmd:sh {tmp_path / 'program.sh'}"

    return make


def verify(spec: str, **options: Any) -> oracle.Report:
    """Verify on two ops, with little patience."""
    return oracle.verify(spec, cases=CASES, **{"timeout": SHORT, **options})


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (HANG, f"the program was killed after {SHORT:g} s without a new result, on this case"),
        (f"{HALF}; {HANG}", "without a new result, on this case alone"),
        (DIE, "the program ended by signal 11 (SIGSEGV), on this case alone"),
        (f"{HALF}; {DIE}", "ended by signal 11 (SIGSEGV), on this case alone"),
        ("exit 3", "the program ended with code 3, on this case alone"),
    ],
)
def test_the_case_is_found_and_the_others_are_judged(happens: str, says: str, program: Any) -> None:
    """Whether it hangs, crashes or gives up, before or while it writes."""
    report = verify(program(happens))
    (failure,) = report.failures
    assert failure.where == place(VICTIM) and says in failure.says
    assert report.ran == len(CASES) and report.exit_code == 1
    assert "was stopped" in failure.diagnosis.text
    assert f"--repro {place(VICTIM)}" in report.to_text()


def test_a_case_that_is_left_out_is_no_failure(program: Any) -> None:
    """Where it is the one before that hangs, too."""
    skipped = LINEAR[1].case.id
    report = verify(program("continue", f"[ $id = {skipped} ]"))
    assert report.passed and report.coverage["linear"].unsupported == 1
    happens = f"[ $id = {skipped} ] && continue; {HANG}"
    report = verify(program(happens, f"[ $id = {skipped} ] || [ $id = {VICTIM.case.id} ]"))
    assert [f.where for f in report.failures] == [place(VICTIM)]
    assert report.coverage["linear"].unsupported == 1


def test_children_of_the_program_end_with_it(program: Any, tmp_path: Path) -> None:
    """Of one that is killed, and of one that ends and leaves them behind."""
    start = f"sleep 600 & echo $! >> {tmp_path / 'pids'}"
    assert verify(program(f"{start}; {HANG}")).failures
    assert verify(program(start)).passed
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) >= 4 and not any(map(alive, pids))


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_flood_on_standard_output_is_cut(program: Any, capfd: Any) -> None:
    """It neither blocks the program nor fills the log; how much is missing is said."""
    assert verify(program("head -c 3000000 /dev/zero | tr '\\0' x")).passed
    out, err = capfd.readouterr()
    assert out == "" and err.count("x") == 1 << 16
    assert f"[{3_000_000 - (1 << 16)} more bytes are not shown]" in err


def test_a_flood_that_nobody_reads_is_drained(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where standard error is closed, too: the program must not be blamed for a full pipe."""
    monkeypatch.setattr(child, "STDERR", -1)
    assert verify(program("head -c 3000000 /dev/zero")).passed


def test_standard_input_is_empty(program: Any) -> None:
    """A program that waits for a key gets the end of the file, one that never reads is well."""
    assert verify(program('[ -z "$(cat)" ] || exit 9')).passed


def test_a_slow_program_is_let_go_on(program: Any) -> None:
    """The limit is on the time without a new result, not on the whole."""
    report = verify(program(f"sleep {SHORT / 2}", "true"))
    assert report.passed and report.seconds > 2 * SHORT


def test_a_program_that_never_ends_well_is_refused(program: Any) -> None:
    """Though it has written everything: the text says what is missing."""
    last = f"[ $id = {CASES[-1].case.id} ]"
    spec = program(f"{HALF}; exit 3", last)
    report = verify(spec)
    assert [f.where for f in report.failures] == [place(CASES[-1])]
    with pytest.raises(ValueError, match=r"code 3; the last .* It must exit with 0"):
        verify(program("trap 'exit 3' EXIT", "true"))


def test_a_program_that_hangs_at_once_is_refused(program: Any) -> None:
    """No case has results; what may help is said. So with one case, run again by hand."""
    spec = program(HANG, "true")
    for attempt in (verify, lambda spec: reproduce(spec, VICTIM, SHORT)):
        with pytest.raises(ValueError, match=r"killed after 0\.5 s .*no case has .* --timeout"):
            attempt(spec)


def test_patience_ends(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that hangs at every case of an op is not asked for all of them."""
    monkeypatch.setattr(module, "HANGS", 2)
    report = verify(program(HANG, "[ $op = relu ]"))
    assert {f.says for f in report.failures} == {"not run: the program had failed 2 times before"}
    assert report.coverage["linear"].failed == 0 and report.coverage["relu"].failed == len(RELU)


def test_cases_are_cut_where_it_is_likely() -> None:
    """By ops; within one, what has no results in halves, the newest result apart."""
    assert smaller(CASES, tuple(LINEAR)) == [LINEAR, RELU]
    written = (LINEAR[3], LINEAR[1])
    assert smaller(LINEAR, written) == [[LINEAR[3]], [LINEAR[1]], [LINEAR[0]], [LINEAR[2]]]
    assert smaller(LINEAR, (LINEAR[1],)) == [[LINEAR[1]], LINEAR[:3:2], LINEAR[3:]]
    assert smaller(LINEAR, ()) == [LINEAR[:2], LINEAR[2:]]
    for count in (2, 3):
        for last in range(count + 1):
            assert len(smaller(LINEAR[:count], tuple(LINEAR[:last]))) > 1


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_is_a_time(timeout: float, capsys: Any) -> None:
    """In Python and on the command line."""
    with pytest.raises(ValueError, match="timeout"):
        ask_program("true", CASES, timeout)
    with pytest.raises(SystemExit):
        main(["verify", "cmd:true", "--timeout", str(timeout)])
    assert "--timeout" in capsys.readouterr().err


def test_the_option_reaches_the_program(program: Any, capsys: Any) -> None:
    """Of the command, with the text that a user reads."""
    spec = program(HANG)
    assert main(["verify", spec, "--only", "linear", "--timeout", str(SHORT), "--quiet"]) == 1
    out = capsys.readouterr().out
    assert "killed after 0.5 s without a new result" in out and "FAILED: 1 case\n" in out


@pytest.mark.parametrize("command", [["fingerprint"], ["verify", "--repro", place(VICTIM)]])
def test_the_option_reaches_other_commands(command: list[str], program: Any, capsys: Any) -> None:
    """Whose program hangs at every case: an error of use, at once."""
    words = [*command, program(HANG, "true"), "--timeout", str(SHORT)]
    assert main(words) == 4
    assert "killed after 0.5 s" in capsys.readouterr().err
