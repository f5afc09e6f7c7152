"""Every example in a docstring is run, and every public function has something to say."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "modelserving"
NAMES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_in_the_docstrings_hold(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)

    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)

    assert failed == 0


def test_the_public_functions_show_how_they_are_used(tmp_path):
    without = []
    for name in ("runs", "model/resolved", "saving", "serving/app", "signature/infer", "store/__init__"):
        tree = ast.parse((PACKAGE / f"{name}.py").read_text())
        public = [
            node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        ]
        exported = {
            "log_model",
            "start_run",
            "register_model",
            "load_model",
            "resolve",
            "save_model",
            "create_app",
        }
        exported |= {"create_asgi_app", "infer_signature", "open_store"}
        without += [
            node.name
            for node in public
            if node.name in exported and ">>>" not in (ast.get_docstring(node) or "")
        ]

    assert without == []
