"""The worker process of `refquant bench`: reads requests, one JSON object a line, and answers.

    refquant bench --peer "python validation/peers/worker.py"

The protocol is described in `refquant.bench.peer`.
"""

import ctypes
import json
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from validation.peers import convolution, gram, solve, units
from validation.peers.work import Work

PEERS = {**convolution.PEERS, **gram.PEERS, **solve.PEERS, **units.PEERS}
SHORTEST = 0.05
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def seconds(work: Work, repeat: int) -> float:
    """Return the seconds of one run, the mean of several in a row."""
    began = time.perf_counter()
    for _ in range(repeat):
        work.run()
    return (time.perf_counter() - began) / repeat


def repeats(work: Work) -> int:
    """Return how often to repeat; warms up."""
    work.run()
    return max(1, round(SHORTEST / max(seconds(work, 1), 1e-9)))


def peak_bytes(work: Work) -> float:
    """Return how far resident memory rose above its start."""
    work.run()
    ctypes.CDLL(None).malloc_trim(0)
    CLEAR.write_text("5")
    before = kilobytes("VmRSS")
    work.run()
    return max(kilobytes("VmHWM") - before, 1) * 1024.0


def kilobytes(field: str) -> int:
    """Return one line of the process's status."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def begin(request: dict, folder: str) -> tuple[Work, str | None]:
    """Return the work of a case and the file with its results."""
    with np.load(request["inputs"], allow_pickle=False) as found:
        inputs = {name: found[name] for name in found.files}
    work = PEERS[request["case"]](inputs)
    if work.results is None:
        return work, None
    path = Path(folder) / "results.npz"
    np.savez(path, **work.results())
    return work, str(path)


def main() -> None:
    """Answer until the other side is gone."""
    torch.set_num_threads(1)
    work: Work | None = None
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints must not disturb the answers
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                if request["do"] == "about":
                    about = {"torch": torch.__version__, "threads": torch.get_num_threads()}
                    answer = {**about, "cases": sorted(PEERS)}
                elif request["do"] == "start":
                    work, results = begin(request, folder)
                    answer = {"results": results}
                elif request["do"] == "repeats":
                    answer = {"value": repeats(work)}
                elif request["do"] == "seconds":
                    answer = {"value": seconds(work, request["repeat"])}
                else:
                    answer = {"value": peak_bytes(work)}
            except Exception as error:
                traceback.print_exc()
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
