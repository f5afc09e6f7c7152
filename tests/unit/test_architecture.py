"""The rules of docs/explanation/design.md that a machine can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "modelserving"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FRAMEWORKS = {"pandas", "sklearn", "skops", "onnxruntime", "onnx", "xgboost", "lightgbm", "catboost", "torch"}
FRAMEWORKS |= {"tensorflow", "keras", "pyarrow", "scipy", "granian"}
MAY_HAVE_NUMPY_AT_TOP = (
    "signature.convert",
    "signature.rows",
    "scoring",
    "example",
    "serving.batch",
    "testing",
)


def import_table():
    """Module -> the modules it may import, as the design page says."""
    page = (ROOT / "docs/explanation/design.md").read_text()
    table = page.partition("<!-- imports:")[2].partition("<!-- end of imports -->")[0]
    rows = re.findall(r"^\| `([\w.]+)` \|(.*)\|$", table, re.MULTILINE)
    return {name: set(re.findall(r"`([\w.]+)`", allowed)) or set(allowed.split()) for name, allowed in rows}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """The modules of this package that a file imports, at any depth: (line, name without the package's
    own)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the whole name"
            if node.module == "modelserving":
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif (node.module or "").startswith("modelserving."):
                yield from ((node.lineno, whole(node.module, alias.name)) for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                assert alias.name != "modelserving", f"{path}:{node.lineno} imports the package root"
                if alias.name.startswith("modelserving."):
                    yield node.lineno, alias.name.removeprefix("modelserving.")


def whole(module, name):
    """The module that ``from module import name`` imports: ``trust.code`` where that is a module, not a
    function."""
    path = PACKAGE.parent.joinpath(*module.split("."), name)
    nested = path.with_suffix(".py").exists() or path.is_dir()
    return (
        f"{module}.{name}".removeprefix("modelserving.") if nested else module.removeprefix("modelserving.")
    )


def allows(allowed, imported):
    return allowed == {"any"} or any(imported == each or imported.startswith(each + ".") for each in allowed)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_the_design_allows(path):
    name, table = module_name(path), import_table()
    if name in {"", "__main__"}:
        return  # the root resolves its names lazily, and __main__ calls the command line
    home = name.partition(".")[0]
    assert home in table, f"{home} has no row in the table of docs/explanation/design.md"

    for line, imported in imports(path):
        inside = imported.partition(".")[0] == home
        assert inside or allows(table[home], imported), f"{path}:{line}: {name} may not import {imported}"
        assert not imported.startswith("flavors") or home == "flavors", (
            f"{path}:{line}: nobody imports a flavor"
        )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_framework_is_imported_at_the_top_of_a_file(path):
    name = module_name(path)
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for imported in (each.partition(".")[0] for each in names):
            assert imported not in FRAMEWORKS, f"{path}:{node.lineno}: {imported} belongs inside a function"
            if imported == "numpy":
                assert any(name == each or name.startswith(each) for each in MAY_HAVE_NUMPY_AT_TOP), (
                    f"{path}: numpy"
                )


def test_importing_the_package_loads_no_framework_and_no_pandas():
    code = "import sys, modelserving; print(*sorted({name.partition('.')[0] for name in sys.modules}))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert set(loaded) & (FRAMEWORKS | {"numpy", "click", "yaml", "sqlite3"}) == set()


def test_every_public_name_can_be_had_and_the_list_is_sorted():
    code = (
        "import modelserving as m; names = list(m.__all__); assert names == sorted(names), names;"
        "assert set(names) <= set(dir(m)); print(len([getattr(m, name) for name in names]))"
    )

    count = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert int(count) > 10


def test_no_file_has_a_name_that_tells_nothing():
    telling_nothing = {"utils", "helpers", "common", "core", "base", "manager", "misc"}

    assert [path for path in SOURCES if path.stem in telling_nothing] == []
