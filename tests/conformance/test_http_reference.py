"""Every example of docs/reference/http.md is run; every path, content type and status is there."""

import json
import re
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest

from modelserving.flavor import Traits
from modelserving.scoring.invocations import CONTENT_TYPES
from modelserving.serving.app import create_app
from modelserving.serving.limits import Limits
from modelserving.serving.response import failure
from modelserving.signature.schema import ColumnSpec, Schema, Signature
from modelserving.signature.types import DataType

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/http.md").read_text()
EXAMPLES = re.findall(r"```http\n(.*?)```\n```http\n(.*?)```", PAGE, re.DOTALL)
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
LINE = {"content-type": "application/json"}
GOOD = b'{"inputs": {"length": [1.5], "width": [0.5]}}'


class Flowers:
    name, version, digest, alias = "flowers", 3, None, "champion"
    signature = Signature(
        Schema((ColumnSpec(DataType.double, "length"), ColumnSpec(DataType.double, "width")))
    )
    traits = Traits(methods=("predict", "predict_proba"), classes={"predict_proba": ("rose", "tulip")})

    def predict_rows(self, data, params, *, method=None):
        return np.array([[0.25, 0.75]] * len(data)) if method == "predict_proba" else data.array().sum(axis=1)


def client_of(model, **options):
    app = create_app(model, **options)
    return app, httpx.Client(transport=httpx.WSGITransport(app), base_url="http://localhost")


@pytest.fixture(scope="module")
def client():
    app, client = client_of(Flowers())
    with app, client:
        yield client


@pytest.mark.parametrize(
    ("asked", "answered"), EXAMPLES, ids=[asked.splitlines()[0] for asked, _ in EXAMPLES]
)
def test_the_examples_answer_as_they_say(client, asked, answered):
    head, _, body = asked.partition("\n\n")
    method, target = head.splitlines()[0].split()
    headers = dict(line.split(": ") for line in head.splitlines()[1:])

    answer = client.request(method, target, headers=headers, content=body.encode() if body else None)

    line, _, expected = answered.partition("\n\n")
    assert f"{answer.status_code} {answer.headers['content-type']}" == line.strip()
    if "json" in line:
        assert answer.json() == json.loads(expected)
    else:
        assert answer.text.split() == expected.split()


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_python_on_the_page_runs(client, snippet):
    if "pyarrow" in snippet:
        pytest.importorskip("pyarrow")

    exec(compile(snippet, "http.md", "exec"), {"client": client})


def test_every_path_is_on_the_page(client):
    with create_app(Flowers()) as app:
        served = set(app.app.routes)

    table = PAGE.partition("## Paths")[2].partition("## ")[0]
    named = {
        path.replace("NAME", "flowers").replace("ALIAS", "champion")
        for path in re.findall(r"`(/[^`]*)`", table)
    }
    named |= {f"/v1/models/flowers{path}" for path in named if path.startswith(("/versions", "/labels"))}
    assert served <= named
    assert {path for path in named if not path.startswith(("/versions", "/labels"))} == served


def test_every_content_type_is_on_the_page():
    assert [each for each in CONTENT_TYPES if f"| `{each}` |" not in PAGE] == []


def stuck(*_args, **_options):
    threading.Event().wait(1)


def fails(*_args, **_options):
    raise RuntimeError


class Unloadable:
    name, version, digest, signature = Flowers.name, Flowers.version, None, Flowers.signature

    def load(self):
        raise OSError


def other(predict):
    return type("Other", (Flowers,), {"predict_rows": predict})()


STATUSES = {
    200: (Flowers(), "POST", "/invocations", LINE, {}),
    204: (Flowers(), "OPTIONS", "/invocations", {}, {}),
    400: (Flowers(), "POST", "/invocations?x=1", LINE, {}),
    404: (Flowers(), "GET", "/v2/models/roses", {}, {}),
    405: (Flowers(), "GET", "/invocations", {}, {}),
    406: (Flowers(), "POST", "/invocations", LINE | {"accept": "text/html"}, {}),
    411: (Flowers(), "POST", "/invocations", LINE, {}),
    413: (Flowers(), "POST", "/invocations", LINE, {"limits": Limits(body=8)}),
    415: (Flowers(), "POST", "/invocations", {"content-type": "text/plain"}, {}),
    500: (other(fails), "POST", "/invocations", LINE, {}),
    503: (Unloadable(), "GET", "/ping", {}, {}),
    504: (other(stuck), "POST", "/invocations", LINE, {"limits": Limits(prediction_seconds=0.05)}),
}


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_the_example_that_the_table_gives(status):
    model, method, target, headers, options = STATUSES[status]
    app, client = client_of(model, **options)

    with app, client:
        request = client.build_request(
            method, target, headers=headers, content=GOOD if method == "POST" else None
        )
        if status == 411:
            del request.headers["content-length"]
        answer = client.send(request)

    assert answer.status_code == status
    assert re.search(rf"^\| {status} \|.*`{method} {re.escape(target)}`", PAGE, re.MULTILINE)


def test_the_table_of_statuses_has_those_the_app_can_give():
    table = {int(each) for each in re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)}

    assert table == set(STATUSES)
    assert failure(RuntimeError(), "x").status in table


def test_every_test_that_the_page_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)

    assert [
        f"{path}::{test}" for path, test in named if f"def {test}(" not in (ROOT / path).read_text()
    ] == []
    assert len(named) > 15
