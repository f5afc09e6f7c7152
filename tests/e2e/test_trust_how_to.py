"""The commands of docs/how-to/trust-a-model.md, run as written."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/how-to/trust-a-model.md").read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("skops")
    blocks = re.findall(r"^( *)```bash\n(.*?)^\1```$", PAGE, re.MULTILINE | re.DOTALL)
    script = "".join(textwrap.dedent(code) for _, code in blocks)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_runs_as_written_and_shows_what_it_says(run, tmp_path):
    assert run.returncode == 0, run.stderr
    refusal = re.search(r"^error: refused: .*sha256:", PAGE, re.MULTILINE)[0]

    assert refusal in run.stderr
    assert run.stderr.count("error:") == 1
    assert run.stdout.count('{"predictions":[[2.0,4.0]]}') == 2
    assert "nobody" in run.stdout
    assert json.loads((tmp_path / "work/inside.json").read_text())["tier"] == "code"
    assert (tmp_path / "work/forest/model.skops").exists()
