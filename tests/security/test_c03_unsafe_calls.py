"""C03, statically: the calls that can run a model's code stand in ``trust/code.py`` and nowhere else."""

import ast
from pathlib import Path

import pytest

import modelserving.trust.code

PACKAGE = Path(modelserving.trust.code.__file__).parents[1]
HOME = "trust/code.py"

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "runpy",
    "imp",
    "code",
}
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "import_module",
    "spec_from_file_location",
    "exec_module",
    "load_module",
    "torch.load",
    "torch.jit.load",
    "torch.export.load",
    "tf.saved_model.load",
    "np.load",
    "numpy.load",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "skops.io.load",
    "skops.io.loads",
    "os.system",
    "os.popen",
}

EXCEPTIONS = {
    ("flavors/pytorch.py", "cloudpickle"): "handed to torch.save, which dumps with it",
    (
        "flavors/pytorch.py",
        "torch.export.load",
    ): "of a copy that was checked record by record and written anew",
    ("__init__.py", "import_module"): "the lazy names of the package itself",
    ("cli/__init__.py", "import_module"): "the commands in its own table",
    ("mlmodel.py", "yaml.load"): "the restricted reader's own use of PyYAML",
    (
        "trust/skops/nodes.py",
        "import_module",
    ): "names in our own table only; test_only_listed_names_are_imported",
}
DUMPING = {"cloudpickle": {"dump", "dumps"}, "pickle": {"dump", "dumps"}}


def findings(source, path):
    """What a file mentions of the above, as ``(path, name)``."""
    tree = ast.parse(source)
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    named = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}  # parameters, not builtins
    for item in ast.walk(tree):
        if isinstance(item, ast.Name) and item.id in named and item not in called:
            continue
        if isinstance(item, ast.Import):
            yield from ((path, alias.name) for alias in item.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(item, ast.ImportFrom) and (item.module or "").split(".")[0] in MODULES:
            yield path, item.module
        elif isinstance(item, ast.Name) and item.id in BUILTINS | CALLS and isinstance(item.ctx, ast.Load):
            yield path, item.id
        elif isinstance(item, ast.Attribute):
            name = ast.unparse(item)
            if name in CALLS or (item.attr in CALLS | (BUILTINS - {"compile"}) and name != "re.compile"):
                yield path, name if name in CALLS else item.attr


def allowed(source, path):
    """The findings of a file that are not an exception with a name."""
    tree = ast.parse(source)
    safe_loads = sum(
        isinstance(item, ast.Call)
        and ast.unparse(item.func) in {"np.load", "numpy.load"}
        and any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in item.keywords)
        for item in ast.walk(tree)
    )
    used = {module: set() for module in DUMPING}
    for item in ast.walk(tree):
        if isinstance(item, ast.Attribute) and ast.unparse(item.value) in DUMPING:
            used[ast.unparse(item.value)].add(item.attr)
    for place, name in findings(source, path):
        if (path, name) in EXCEPTIONS or (name in DUMPING and used[name] and used[name] <= DUMPING[name]):
            continue
        if name in {"np.load", "numpy.load"} and safe_loads:
            safe_loads -= 1
            continue
        yield place, name


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
ELSEWHERE = [path for path in FILES if path != HOME]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_file_has_no_unsafe_call(path):
    assert list(allowed((PACKAGE / path).read_text(encoding="utf-8"), path)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import load",
        "import cloudpickle; cloudpickle.load(f)",
        "import joblib",
        "from joblib import load",
        "import torch; torch.load('x', weights_only=True)",
        "import numpy as np; np.load(f)",
        "import numpy as np; np.load(f, allow_pickle=True)",
        "import yaml; yaml.load(f, Loader)",
        "eval('1')",
        "exec('1')",
        "__import__('os')",
        "import builtins; builtins.exec('1')",
        "f = eval",
        "import importlib; importlib.import_module(name)",
        "from importlib import import_module as f; import_module('x')",
        "from skops import io; import skops; skops.io.load(p)",
        "loader.exec_module(m)",
        "compile('1', 'x', 'exec')",
    ],
)
def test_the_test_sees_an_unsafe_call(line):
    assert list(allowed(line, "flavors/careless.py"))


@pytest.mark.parametrize(
    "line",
    [
        "import re; re.compile('x')",
        "import cloudpickle; cloudpickle.dump(m, f)",
        "np.load(f, allow_pickle=False)",
        "yaml.safe_load",
    ],
)
def test_the_test_lets_safe_calls_through(line):
    assert list(allowed(line, "flavors/careful.py")) == []


def test_only_policy_makes_a_grant():
    makers = [
        path
        for path in FILES
        for item in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8")))
        if isinstance(item, ast.Call) and ast.unparse(item.func).split(".")[-1] == "Grant"
    ]

    assert makers == ["trust/policy.py"]


def test_every_unsafe_function_asks_for_a_grant_first():
    tree = ast.parse((PACKAGE / HOME).read_text(encoding="utf-8"))
    public = [
        item for item in tree.body if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
    ]

    assert len(public) >= 5
    for function in public:
        assert "grant" in {argument.arg for argument in function.args.kwonlyargs}, function.name
        assert ast.unparse(function.body[1]).startswith("_check(grant, "), function.name


def test_no_decision_depends_on_what_a_pickle_seems_to_import():
    """C18: the static report is advice; who decides does not even import it."""
    for path in FILES:
        if (
            path.startswith(("trust/", "flavors/", "model.py", "serving/", "store/"))
            and path != "trust/pickles.py"
        ):
            assert "trust.pickles" not in (PACKAGE / path).read_text(encoding="utf-8"), path


def test_only_listed_names_are_imported(monkeypatch):
    from modelserving.trust.skops import types

    packages = {
        name.partition(".")[0]
        for table in (types.ALLOWED, types.NATIVE)
        for names in table.values()
        for name in names
    }

    assert packages == {
        "builtins",
        "collections",
        "functools",
        "lightgbm",
        "numpy",
        "scipy",
        "sklearn",
        "xgboost",
    }
