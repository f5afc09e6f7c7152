"""What the README and the documentation show was run as written, and still holds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/tutorial/first-model.md"]


def blocks(page, language=""):
    """The fenced blocks of a page in one language, in order."""
    text = (ROOT / page).read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [code for each, code in found if each == language]


def run_python(code, folder):
    env = {key: value for key, value in os.environ.items() if key != "MODELSERVING_STORE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs_and_what_it_logged_is_served_as_the_page_says(
    page, tmp_path, serve, monkeypatch
):
    monkeypatch.delenv("MODELSERVING_STORE")
    whole = "".join(code for code in blocks(page, "python") if "app.mount" not in code)

    assert run_python(whole, tmp_path).strip() != ""

    commands = "".join(blocks(page))
    uri = re.search(r"modelserving serve -m (\S+) -p 5000", commands)[1]
    path, body = re.search(
        r"curl -s 127.0.0.1:5000(\S+) .*?-d '(.*?)'$", commands, re.MULTILINE | re.DOTALL
    ).groups()
    status, _, answer = serve("-m", uri, cwd=tmp_path).ask(path, body.encode())
    assert (status, list(answer)) == (200, ["predictions"])


def test_the_apps_of_the_how_to_can_be_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("MODELSERVING_STORE")
    logging = blocks("docs/tutorial/first-model.md", "python")
    apps = "".join(blocks("docs/how-to/embed.md", "python"))
    asking = """
import asyncio, httpx, json
body = {"dataframe_records": [dict(zip(data.data.columns, data.data.iloc[0].tolist()))]}
flasks = flask_app.test_client().post("/models/iris/invocations", json=body)

async def ask():
    transport = httpx.ASGITransport(fastapi_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        return await client.post("/models/iris/invocations", json=body)

fastapis = asyncio.run(ask())
assert flasks.data == fastapis.content, (flasks.data, fastapis.content)
print(fastapis.text)
"""

    printed = run_python(logging[0] + logging[3] + apps + asking, tmp_path)

    assert printed.splitlines()[-1] == '{"predictions":[0]}'


def test_the_readme_names_the_commands_that_ci_calls():
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci/run").read_text()

    for command in ("make test", "make demo ARGS=--once"):
        assert command in readme
        assert command in ci


@pytest.mark.parametrize(
    "page", [str(page.relative_to(ROOT)) for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]]
)
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text())

    missing = [
        link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()
    ]

    assert missing == []


@pytest.mark.slow
def test_the_commands_of_the_page_about_stores_run(tmp_path, command):
    logging = blocks("docs/tutorial/first-model.md", "python")[0]
    run_python(logging + logging.replace("import modelserving", ""), tmp_path)
    commands = "".join(blocks("docs/how-to/keep-a-store.md")).splitlines()
    env = {key: value for key, value in os.environ.items() if key != "MODELSERVING_STORE"}

    for line in commands:
        if line.startswith("modelserving serve"):
            continue
        words = [command, *line.split()[1:]]
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (line, done.stderr)

    assert len(commands) > 10
