"""What verifying a model costs, against ``sha256sum`` of the same files.

Run it with ``python benchmarks/verify.py [megabytes]``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from random import Random

from modelserving.trust.policy import open_folder

FILES, REPEAT = 20, 5


def write(folder: Path, megabytes: int) -> list[str]:
    random = Random(0)
    for number in range(FILES):
        with (folder / f"weights-{number}").open("wb") as file:
            for _ in range(megabytes // FILES):
                file.write(random.randbytes(1 << 20))
    return sorted(str(path) for path in folder.iterdir())


def seconds(action) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "model")
        folder.mkdir(mode=0o755)
        files = write(folder, megabytes)
        open_folder(folder)  # everything is in the page cache for all of them
        times: dict[str, list[float]] = {"sha256sum": [], "in place": [], "private copy": []}
        for _ in range(REPEAT):
            command = ["sha256sum", *files]
            run = partial(subprocess.run, command, capture_output=True, check=True)
            times["sha256sum"].append(seconds(run))
            folder.chmod(0o755)
            times["in place"].append(seconds(lambda: open_folder(folder)))
            folder.chmod(0o777)
            times["private copy"].append(seconds(lambda: open_folder(folder)))
    base = min(times["sha256sum"])
    for name, measured in times.items():
        best = min(measured)
        print(f"{name:14} {best:7.3f} s  {best / base:5.2f}x  {megabytes / best:6.0f} MB/s")


if __name__ == "__main__":
    main()
