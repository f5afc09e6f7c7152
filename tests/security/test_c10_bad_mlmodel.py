"""Hostile MLmodel files at the level of ``load_model``: a typed error, and nothing opened outside the folder.

One child process loads every folder under an audit hook that sees each file the process opens.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from modelserving.mlmodel.fields import foreign_path, path
from modelserving.mlmodel.flavor_configs import FLAVORS

MODELS = Path(__file__).parents[1] / "conformance" / "mlflow"

CHILD = """
import json, os, sys
from pathlib import Path

from modelserving import load_model
from modelserving.errors import ModelServingError

good, allowed = sys.argv[1], sys.argv[2].split(os.pathsep)
load_model(good)  # whatever is imported or opened once is
opened = []


def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        opened.append(os.fsdecode(arguments[0]))


def outside(name, folder):
    if not os.path.isabs(name):  # relative to a folder that was opened by its descriptor
        return ".." in Path(name).parts
    real = os.path.realpath(name)
    return not any(real == each or real.startswith(each + os.sep) for each in (folder, *allowed))


sys.addaudithook(hook)
for line in sys.stdin:
    case = json.loads(line)
    folder = case["folder"]
    Path(folder, "MLmodel").write_text(case["text"])
    opened.clear()
    try:
        load_model(folder)
        told = ["", None, ""]
    except ModelServingError as error:
        told = [type(error).__name__, getattr(error, "key", None), str(error)]
    except BaseException as error:
        told = ["UNEXPECTED " + type(error).__name__, None, str(error)[:300]]
    print(json.dumps([*told, sorted({name for name in opened if outside(name, folder)})]), flush=True)
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """ask(texts): of a folder with each text as its MLmodel [error, key path, message, opened outside]."""
    base = tmp_path_factory.mktemp("hostile")
    for name in ("good", "bad"):
        shutil.copytree(MODELS / "sklearn_skops_wine_logistic", base / name)
    (base / "secret.pkl").write_bytes(b"\x80\x04N.")
    scratch = base / "scratch"
    scratch.mkdir()
    allowed = [
        scratch,
        base / "state",
        *map(Path, {sys.prefix, sys.base_prefix, *sys.path} - {""}),
        Path("/proc/self"),
    ]

    places = os.pathsep.join(os.path.realpath(each) for each in allowed)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, base / "good", places],
        env=os.environ | {"TMPDIR": str(scratch), "XDG_STATE_HOME": str(base / "state")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = threading.Timer(300, child.kill)  # then the answer below is missing
    deadline.start()

    def asked(texts):
        answers = []
        for text in texts:
            child.stdin.write(json.dumps({"folder": str(base / "bad"), "text": text}) + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
            assert line, text[:1000]
            answers.append(json.loads(line))
        return answers

    asked.secret = str(base / "secret.pkl")
    yield asked
    child.stdin.close()
    assert child.wait(timeout=60) == 0
    child.stdout.close()
    deadline.cancel()


@pytest.fixture(scope="module")
def text():
    return (MODELS / "sklearn_skops_wine_logistic" / "MLmodel").read_text()


def test_truncated_at_any_length_it_loads_or_is_a_typed_error(ask, text):
    answers = ask(text[:length] for length in range(0, len(text), 3))

    assert {name for name, *_ in answers} <= {
        "",
        "MLmodelError",
        "FlavorLoadError",
        "FlavorNotFoundError",
        "UntrustedModelError",
    }
    assert answers[0][0] == "MLmodelError"
    assert [outside for *_, outside in answers if outside] == []


def test_of_a_wrong_type_at_any_key_it_loads_or_is_a_typed_error(ask, text):
    forms = [
        changed for value in ([1], {"a": 1}, 5, "x", None, True) for changed in each_key_changed(text, value)
    ]

    answers = ask(yaml.safe_dump(form) for form in forms)

    assert len(answers) == len(forms) > 100
    assert [answer for answer in answers if answer[0].startswith("UNEXPECTED")] == []
    unplaced = [message for name, key, message, _ in answers if name == "MLmodelError" and not key]
    assert [message for message in unplaced if "missing key 'flavors'" not in message] == []
    assert [outside for *_, outside in answers if outside] == []


@pytest.mark.parametrize("kind", ["above", "absolute", "deep"])
def test_a_path_that_leads_out_is_refused_at_every_key_that_holds_one(ask, text, kind):
    target = {"above": "../secret.pkl", "absolute": ask.secret, "deep": "a/../../secret.pkl"}[kind]
    keys = [
        (flavor, key) for flavor, known in FLAVORS.items() for key, check in known.items() if check is path
    ]
    texts = [yaml.safe_dump(form_with(text, flavor, key, target)) for flavor, key in keys]

    answers = ask(texts)

    assert len(keys) > 20
    for (flavor, key), (name, where, message, outside) in zip(keys, answers, strict=True):
        assert (name, where, outside) == ("MLmodelError", f"flavors.{flavor}.{key}", []), message


def test_of_a_path_on_the_writers_machine_only_the_name_in_the_folder_is_opened(ask, text):
    keys = [
        (flavor, key)
        for flavor, known in FLAVORS.items()
        for key, check in known.items()
        if check is foreign_path
    ]

    answers = ask(yaml.safe_dump(form_with(text, flavor, key, ask.secret)) for flavor, key in keys)

    assert [outside for *_, outside in answers] == [[] for _ in keys]


BOMBS = {
    "aliases": "a: &a [x, x]\n"
    + "".join(f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}, *a]\n" for n in range(50)),
    "ten megabytes of brackets": "[" * 10_000_000,
    "ten megabytes of braces": "{" * 10_000_000,
    "deep flow": "flavors: " + "[" * 100_000 + "]" * 100_000,
    "a tag": "flavors: !!python/object/apply:os.system [exit]\n",
    "a key twice": "flavors: {}\nflavors: {}\n",
    "nothing": "",
    "a number": "5",
    "binary": "\x01\x02",
}


def test_bombs_are_refused(ask):
    for name, answer in zip(BOMBS, ask(BOMBS.values()), strict=True):
        assert (answer[0], answer[3]) == ("MLmodelError", []), (name, answer)
        assert len(answer[2]) < 1000


@pytest.mark.parametrize(
    "inputs", ["not JSON", "[", "{}", "null", "[[]]", '[{"type": "unknown"}]', "[" * 100_000]
)
def test_a_signature_that_is_none_is_refused_with_its_key(ask, text, inputs):
    form = yaml.safe_load(text) | {"signature": {"inputs": inputs}}

    ((name, key, _, outside),) = ask([yaml.safe_dump(form)])

    assert (name, key, outside) == ("MLmodelError", "signature", [])


def test_a_model_whose_files_are_elsewhere_is_refused(ask, text):
    form = yaml.safe_load(text) | {"metadata": {"mlflow.model.isExternal": True}}

    ((name, key, message, _),) = ask([yaml.safe_dump(form)])

    assert (name, key) == ("MLmodelError", "metadata.mlflow.model.isExternal")
    assert "kept elsewhere" in message


def form_with(text, flavor, key, value):
    """The content of the file with one key of one flavor set; the flavor is the only one."""
    flavors = (
        {"python_function": {"loader_module": "mlflow.pyfunc.model"}} if flavor == "python_function" else {}
    )
    return yaml.safe_load(text) | {"flavors": {flavor: flavors.get(flavor, {}) | {key: value}}}


def each_key_changed(text, value):
    """The content of the file once for each key path in it, with another value there."""
    form = yaml.safe_load(text)

    def paths(part, before=()):
        for key, inner in part.items():
            yield (*before, key)
            if isinstance(inner, dict):
                yield from paths(inner, (*before, key))

    for where in paths(form):
        changed = yaml.safe_load(text)
        inner = changed
        for key in where[:-1]:
            inner = inner[key]
        inner[where[-1]] = value
        yield changed
