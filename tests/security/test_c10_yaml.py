"""C10: what YAML can do beyond plain values is refused, before anything is built."""

from __future__ import annotations

import tracemalloc

import pytest
import yaml

from modelserving.errors import MLmodelError
from modelserving.mlmodel import MLmodel, restricted_yaml
from modelserving.mlmodel.restricted_yaml import MAX_BYTES, MAX_DEPTH, dump, load

BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)

REFUSED = {
    "an alias bomb": BOMB,
    "an alias": "a: *b",
    "an anchor": "a: &b 1",
    "an anchor on a key": "&b a: 1",
    "a recursive list": "&a [*a]",
    "a merge key": "a: {<<: {b: 1}}",
    "a tag that runs code": "a: !!python/object/apply:os.system ['id']",
    "a tag that names a class": "a: !!python/name:os.system ''",
    "a harmless tag": "a: !!str 1",
    "a set": "a: !!set {b}",
    "bytes": "a: !!binary aGk=",
    "a local tag": "a: !x 1",
    "a bare tag": "a: ! 1",
    "a tag under another name": "%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system ''",
    "a tag on the document": "!!map {a: 1}",
    "two documents": "a: 1\n---\nb: 2",
    "two empty documents": "---\n---\n",
    "a duplicate key": "a: 1\na: 2",
    "a duplicate key, once in quotes": "a: 1\n'a': 2",
    "a duplicate key further down": "flavors: {sklearn: {code: null, code: x}}",
    "a null key": "? \n: 1",
    "a boolean key": "true: 1",
    "a float key": "1.5: 1",
    "a list as key": "? [a]\n: 1",
    "a mapping as key": "{{a: 1}: 2}",
    "a tab": "a:\n\tb: 1",
    "nothing": "",
    "only a comment": "# MLmodel\n",
    "a NUL": "a: \x00",
    "a control character": "a: \x07",
    "a lone surrogate": "a: \ud800",
    "an escaped lone surrogate": 'a: "\\ud800"',
    "a byte order mark": "\ufeffa: 1",
    "a number of 5000 digits": "a: " + "1" * 5000,
    "a number of 5000 hexadecimal digits": "a: 0x" + "f" * 5000,
    "too deep": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "a million brackets": "[" * 1_000_000,
    "a million braces": "{" * 1_000_000,
    "half a million dashes": "- " * 500_000,
    "half a million question marks": "? " * 500_000,
    "more values than metadata has": "[" + "1," * 400_000 + "]",
    "ten megabytes of brackets": "[" * 10_000_000,
    "ten megabytes of text": "a: " + "x" * 10_000_000,
    "more bytes than characters": "a: " + "é" * (MAX_BYTES // 2),
    "an unclosed quote": "a: 'b",
    "an unclosed bracket": "[a",
    "an unknown escape": 'a: "\\q"',
    "another version of YAML": "%YAML 9.9\n---\na: 1",
}

SCALARS = {
    "1": 1, "-1": -1, "+1": 1, "0": 0, "0x1F": 31, "1.5": 1.5, "-1.5": -1.5, "1.": 1.0, ".5": 0.5,
    "1.0e+17": 1e17, ".inf": float("inf"), "-.INF": float("-inf"), "true": True, "False": False,
    "null": None, "~": None, "": None,
}  # fmt: skip
AS_IT_STANDS = [  # a number, a boolean or a date in YAML 1.1, in YAML 1.2, or in nobody's
    "no", "yes", "on", "y", "tRUE", "1e5", "12e4567", "017", "0o17", "0b1", "1_000", "1:30", "-.5", "\u0661",
    "2024-01-01", "2024-01-01 10:00:00", "1.2.3", "=",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_in_one_line(name):
    with pytest.raises(MLmodelError) as caught:
        load(REFUSED[name])

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", [name for name, text in REFUSED.items() if len(text) < 10_000])
def test_is_refused_by_the_parser_in_python_too(name, monkeypatch):
    monkeypatch.setattr(restricted_yaml, "_PARSER", yaml.SafeLoader)

    with pytest.raises(MLmodelError):
        load(REFUSED[name])


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_within_bounded_memory(name):
    tracemalloc.start()
    with pytest.raises(MLmodelError):
        MLmodel.from_text(REFUSED[name])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 64 * MAX_BYTES


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_a_plain_scalar_is_what_all_versions_of_yaml_agree_on(text, value):
    found = load(f"a: {text}")["a"]

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", AS_IT_STANDS, ids=ascii)
def test_a_plain_scalar_that_they_do_not_agree_on_is_text(text):
    assert load(f"a: {text}") == {"a": text}


@pytest.mark.parametrize("text", ["1", "no", "null", "<<"])
def test_a_scalar_in_quotes_is_text(text):
    assert load(f"'{text}': '{text}'") == {text: text}


@pytest.mark.parametrize("text", [*AS_IT_STANDS, *SCALARS], ids=ascii)
def test_text_that_looks_like_something_else_is_text_again_after_writing(text):
    assert load(dump({"a": text})) == {"a": text}


def test_as_deep_as_allowed_is_read():
    assert load("[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_the_error_names_the_key_path():
    with pytest.raises(MLmodelError) as caught:
        load("flavors:\n  onnx:\n    providers:\n    - CPU\n    - !!python/name:os.system x\n")

    assert caught.value.key == "flavors.onnx.providers[1]"


def test_a_syntax_error_names_its_line():
    with pytest.raises(MLmodelError, match="line 2"):
        load("a: 1\n b: 2\n")


def test_a_value_that_occurs_twice_is_written_twice():
    shared = ["x"]

    assert load(dump({"a": shared, "b": shared})) == {"a": ["x"], "b": ["x"]}


def test_what_could_not_be_read_again_is_not_written():
    with pytest.raises(MLmodelError, match="more than 1048576 bytes"):
        dump({"a": "x" * MAX_BYTES})
