"""C03, C09, C18: hostile models are refused before anything of theirs runs, is imported, opened or contacted.

Audit hooks cannot be removed, so a child process looks at the models. It imports what looking needs, then
records every event of the kinds below until all models are refused.
"""

import bz2
import gzip
import io
import itertools
import json
import lzma
import os
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib

import pytest

LEAST = 150
MARK = "it-ran"

CHILD = """
import json, os, sys, warnings
import bz2, gzip, lzma, zipfile, zlib, encodings.cp437, encodings.raw_unicode_escape, encodings.unicode_escape
import numpy, sklearn.base, scipy.sparse
from pathlib import Path
from modelserving import load_model
from modelserving.errors import ModelServingError
from modelserving.inspection import inspect_model

root = Path(sys.argv[1]).resolve()
events = []
RUNS = tuple('''
    exec compile import pickle. marshal. code. subprocess. os.system os.exec os.fork os.posix_spawn os.spawn
    pty. socket. ctypes. urllib. http. ftplib. smtplib. webbrowser. os.remove os.rename os.mkdir os.rmdir
    os.chmod os.link os.symlink os.truncate shutil.
'''.split())

def hook(event, arguments):
    if event == "open":
        path = arguments[0]
        if isinstance(path, (str, bytes, os.PathLike)) and not Path(os.fsdecode(path)).is_absolute():
            return  # opened by directory descriptor, below a folder that was
        if isinstance(path, int) or Path(os.path.realpath(os.fsdecode(path))).is_relative_to(root):
            return
    elif not event.startswith(RUNS):
        return
    events.append(f"{event} {arguments!r:.100}")

report = {}
os.environ["XDG_STATE_HOME"] = str(root / "state")
folders = sorted((root / "models").iterdir())
for flavor in sorted((root / "first").iterdir()):  # what looking needs is imported now, and nothing after it
    inspect_model(flavor)
    try:
        load_model(flavor)
    except ModelServingError:
        pass
sys.addaudithook(hook)
for folder in folders:
    events.clear()
    inside, outcome = {}, "let in"
    try:
        inside = {file.path: list(file.imports) for file in inspect_model(folder).files}
    except ModelServingError:
        pass
    try:
        load_model(folder)
    except ModelServingError as error:
        outcome = type(error).__name__
        assert "\\n" not in str(error)
        str(error).encode("utf-8")
    report[folder.name] = [outcome, list(events), inside]
print(json.dumps(report))
"""

REFUSALS = {
    "DamagedModelError",
    "UntrustedModelError",
    "MLmodelError",
    "FlavorLoadError",
    "FlavorNotFoundError",
}


class Call:
    """A pickle that calls ``module.name`` with arguments when it is loaded."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments

    def pickle(self, protocol):
        if protocol == 0:
            return (
                f"c{self.module}\n{self.name}\n(".encode()
                + b"".join(b"V" + str(argument).encode() + b"\n" for argument in self.arguments)
                + b"tR."
            )
        head = pickle.dumps((self.module, self.name, self.arguments), protocol)
        return (
            b"\x80\x04\x8c" + text(self.module) + b"\x8c" + text(self.name) + b"\x93" + head[2:-1] + b"R."
            if protocol == 4
            else (
                b"\x80\x02c"
                + f"{self.module}\n{self.name}\n".encode()
                + pickle.dumps(self.arguments, 2)[2:-1]
                + b"R."
            )
        )


def text(value):
    return bytes([len(value)]) + value.encode()


CALLS = {
    "system": Call("os", "system", f"echo {MARK}"),
    "popen": Call("subprocess", "Popen", f"echo {MARK}"),
    "check-output": Call("subprocess", "check_output", "id"),
    "exec": Call("builtins", "exec", f"print('{MARK}')"),
    "eval": Call("builtins", "eval", f"print('{MARK}')"),
    "compile": Call("builtins", "compile", "1", "x", "exec"),
    "import": Call("importlib", "import_module", "antigravity"),
    "dunder-import": Call("builtins", "__import__", "antigravity"),
    "socket": Call("socket", "create_connection", "127.0.0.1"),
    "open": Call("builtins", "open", "/etc/passwd"),
    "unlink": Call("os", "unlink", "/nonexistent"),
    "runpy": Call("runpy", "run_path", "/nonexistent"),
    "ctypes": Call("ctypes", "CDLL", "libc.so.6"),
    "loads": Call("pickle", "loads", "c"),
    "pty": Call("pty", "spawn", "/bin/true"),
}


def zipped(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", data)
    return buffer.getvalue()


PACKINGS = {
    "model.pkl": lambda call: call.pickle(0),
    "model.onnx": lambda call: call.pickle(2),
    "model.json": lambda call: call.pickle(4),
    "model.pkl.gz": lambda call: gzip.compress(call.pickle(4)),
    "weights.safetensors": lambda call: bz2.compress(call.pickle(2)),
    "data.parquet": lambda call: lzma.compress(call.pickle(0)),
    "model.joblib": lambda call: zlib.compress(call.pickle(4)),
    "model.npz": lambda call: zipped(call.pickle(2)),
    "model.skops": lambda call: call.pickle(4),
}


def node(loader, module, name, **more):
    return {"__loader__": loader, "__module__": module, "__class__": name, "__id__": 1, **more}


def plain(value):
    return node("JsonNode", "builtins", "str", content=json.dumps(value), is_json=True)


def listed(*items):
    return node("ListNode", "builtins", "list", content=list(items))


def mapping(content, **how):
    keys = listed(*(node("TypeNode", "builtins", "str") for _ in content))
    return node(
        "DictNode", how.get("module", "builtins"), how.get("name", "dict"), content=content, key_types=keys
    )


COMMAND = node("TupleNode", "builtins", "tuple", content=[plain(f"echo {MARK}")])
SYSTEM = node("FunctionNode", "os", "system")
NESTED = plain(1)
for _ in range(400):
    NESTED = listed(NESTED)

SCHEMAS = {
    "a function of os": SYSTEM,
    "a function of builtins": node("FunctionNode", "builtins", "eval"),
    "numpy's loader": node("FunctionNode", "numpy", "load"),
    "sklearn's helper that opens files": node("FunctionNode", "sklearn.datasets._base", "load_files"),
    "a type that is a function": node("TypeNode", "builtins", "exec"),
    "a type of subprocess": node("TypeNode", "subprocess", "Popen"),
    "a method": node("MethodNode", "builtins", "str", content={"func": "format", "obj": plain("x")}),
    "a method caller": node("OperatorFuncNode", "operator", "methodcaller", attrs=COMMAND),
    "an attribute getter": node("OperatorFuncNode", "operator", "attrgetter", attrs=COMMAND),
    "a partial call": node(
        "PartialNode",
        "functools",
        "partial",
        content={"func": SYSTEM, "args": COMMAND, "kwds": mapping({}), "namespace": plain(None)},
    ),
    "a constructor": node("ConstructorFromReduceNode", "subprocess", "Popen", content=COMMAND),
    "a constructor of an estimator": node(
        "ConstructorFromReduceNode", "sklearn.pipeline", "Pipeline", content=COMMAND
    ),
    "an object of subprocess": node("ObjectNode", "subprocess", "Popen", content=mapping({})),
    "an object with a setstate": node("ObjectNode", "logging.handlers", "SocketHandler", content=mapping({})),
    "an object of a test module": node("ObjectNode", "antigravity", "X", content=mapping({})),
    "a loss that is a call": node(
        "LossNode", "os", "system", content=mapping({}), __reduce__={"args": COMMAND}
    ),
    "a tree that is a call": node(
        "TreeNode", "os", "system", content=mapping({}), __reduce__={"args": COMMAND}
    ),
    "a list that is a call": node("ListNode", "os", "system", content=[plain("id")]),
    "a set that is a call": node("SetNode", "builtins", "exec", content=[plain("id")]),
    "a tuple that is a call": node("TupleNode", "subprocess", "Popen", content=[plain("id")]),
    "a dict that is a call": mapping({}, module="antigravity", name="dict"),
    "a key type that is a call": node(
        "DictNode",
        "builtins",
        "dict",
        content={MARK: plain(1)},
        key_types=listed(node("TypeNode", "os", "system")),
    ),
    "a default factory that is a call": node(
        "DefaultDictNode",
        "collections",
        "defaultdict",
        content={"main": mapping({}), "default_factory": SYSTEM},
    ),
    "an array that is a call": node("NdArrayNode", "os", "system", type="numpy", file="a.npy"),
    "a random state that is a call": node("RandomStateNode", "subprocess", "Popen", content=mapping({})),
    "a generator that is a call": node(
        "RandomGeneratorNode", "os", "system", content={"bit_generator": mapping({}), "seed_seq": mapping({})}
    ),
    "a sparse matrix that is a call": node("SparseMatrixNode", "os", "system", type="scipy", file="a.npz"),
    "a quantile forest": node(
        "QuantileForestNode", "quantile_forest._quantile_forest_fast", "QuantileForest"
    ),
    "a kind that does not exist": node("EvilNode", "builtins", "str"),
    "a kind that is not text": node(7, "builtins", "str"),
    "a kind spelled with other letters": node("JsonNod\u0435", "builtins", "str", content="1"),
    "a module that is not text": node("ObjectNode", ["sklearn"], "Pipeline"),
    "a module with a path": node("ObjectNode", "../evil", "Pipeline"),
    "a cached node": node("CachedNode", "builtins", "str"),
    "something hidden in an unused key": {**plain(1), "extra": SYSTEM},
    "something hidden deep": listed(listed(mapping({"a": SYSTEM}))),
    "lists without end": NESTED,
    "a value that is nested JSON": {**plain(1), "content": "[[1]]"},
    "a value that is not JSON": {**plain(1), "content": "__import__('os')"},
    "a value that is no text": {**plain(1), "content": 7},
    "no kind": {"__class__": "str", "__module__": "builtins", "content": "1"},
    "fewer key types than keys": node(
        "DictNode", "builtins", "dict", content={"a": plain(1)}, key_types=listed()
    ),
    "a slice of objects": node(
        "SliceNode", "builtins", "slice", content={"start": [1], "stop": None, "step": None}
    ),
    "bytes that are not there": node("BytesNode", "builtins", "bytes", file="../../../etc/passwd"),
    "an array that is not there": node("NdArrayNode", "numpy", "ndarray", type="numpy", file="/etc/passwd"),
    "protocol 0": {
        **node("FunctionNode", "numpy", "sqrt", content={"module_path": "os", "function": "system"}),
        "protocol": 0,
    },
    "a newer protocol": {**plain(1), "protocol": 3},
    "a protocol that is true": {**plain(1), "protocol": True},
    "no protocol": {**plain(1), "protocol": None},
    "a negative protocol": {**plain(1), "protocol": -1},
}


def archive(*members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that is there twice
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name) if compression == zipfile.ZIP_STORED else name, data)
    return buffer.getvalue()


def schema(state):
    return json.dumps({"protocol": 2, "_skops_version": "0.16.0", **state}).encode()


def overlapping():
    data = bytearray(archive(("schema.json", schema(plain(1))), ("a.npy", b"x" * 50), ("b.npy", b"y" * 50)))
    entry = data.rindex(b"PK\x01\x02")
    first = data.index(b"PK\x03\x04", 10)
    data[entry + 42 : entry + 46] = struct.pack("<I", first)
    return bytes(data)


def encrypted():
    data = bytearray(archive(("schema.json", schema(plain(1)))))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


GOOD = ("schema.json", schema(plain(1)))
ARCHIVES = {
    "nothing": b"",
    "no zip": b"PK\x03\x04",
    "text": b"schema.json",
    "no schema": archive(("a.npy", b"")),
    "a schema that is a list": archive(("schema.json", b"[]")),
    "a schema that is a number": archive(("schema.json", b"1")),
    "a schema of brackets": archive(("schema.json", b"[" * 1_000_000)),
    "a schema with a number of many digits": archive(("schema.json", b'{"protocol":' + b"9" * 10_000 + b"}")),
    "a schema that is not text": archive(("schema.json", b"\xff\xfe\x00")),
    "a member above": archive(GOOD, ("../a.npy", b"")),
    "a member at the root": archive(GOOD, ("/etc/passwd", b"")),
    "a member of windows": archive(GOOD, ("C:\\a.npy", b"")),
    "a member with a NUL": archive(GOOD, ("a.npy%.txt", b"")).replace(b"a.npy%", b"a.npy\0"),
    "a member in a folder": archive(GOOD, ("a/b.npy", b"")),
    "a pickle as a member": archive(GOOD, ("model.pkl", CALLS["system"].pickle(4))),
    "one member twice": archive(GOOD, ("a.npy", b"1"), ("a.npy", b"2")),
    "a schema twice": archive(GOOD, ("schema.json", schema(SYSTEM))),
    "members over each other": overlapping(),
    "an encrypted member": encrypted(),
    "another compression": archive(GOOD, compression=zipfile.ZIP_LZMA),
    "a bomb": archive(GOOD, ("a.npy", bytes(128 << 20)), compression=zipfile.ZIP_DEFLATED),
    "a pickle before the zip": CALLS["system"].pickle(4) + archive(GOOD),
    "cut in the middle": archive(GOOD, ("a.npy", bytes(1000)))[:600],
    "a wrong checksum": archive(GOOD).replace(b'"_skops_version"', b'"_skops_versiom"', 1),
}

LINKS = {
    "a link out": lambda folder: (folder / "model.pkl").symlink_to("/etc/passwd"),
    "a link in": lambda folder: (folder / "model.pkl").symlink_to("MLmodel"),
    "a link to nothing": lambda folder: (folder / "model.pkl").symlink_to("/nonexistent"),
    "a link to itself": lambda folder: (folder / "model.pkl").symlink_to("model.pkl"),
    "a linked folder": lambda folder: (folder / "code").symlink_to("/etc"),
    "a link to proc": lambda folder: (folder / "model.pkl").symlink_to("/proc/self/environ"),
    "a hard link": lambda folder: (folder / "model.pkl").hardlink_to(folder / "MLmodel"),
    "a FIFO": lambda folder: os.mkfifo(folder / "model.pkl"),
    "folders without end": lambda folder: folder.joinpath(*["d"] * 40).mkdir(parents=True),
}


def entry(flavor, **keys):
    if flavor == "python_function":
        keys = {"loader_module": "mlflow.pyfunc.model", **keys}
    lines = [f"  {flavor}:", *(f"    {key}: {value}" for key, value in keys.items())]
    return "flavors:\n" + "\n".join(lines) + "\n"


def skops_entry(file="model.skops", **keys):
    return entry("sklearn", pickled_model=file, serialization_format="skops", **keys)


PICKLED = [
    lambda file: entry("sklearn", pickled_model=file, serialization_format="pickle"),
    lambda file: entry("sklearn", pickled_model=file, serialization_format="cloudpickle"),
    lambda file: entry("sklearn", pickled_model=file),
    lambda file: entry("python_function", loader_module="mlflow.pyfunc.model", python_model=file),
    lambda file: entry("python_function", loader_module="mlflow.sklearn", model_path=file),
    lambda file: entry("lightgbm", data=file, model_class="lightgbm.sklearn.LGBMClassifier"),
]
"""The entries by which a file would be unpickled."""

LOADERS = [
    *(
        "os",
        "subprocess",
        "antigravity",
        "this",
        "pty",
        "webbrowser",
        "http.server",
        "idlelib.idle",
        "runpy",
        "code",
    ),
    *(
        "evil",
        "evil.loader",
        "mlflow",
        "mlflow.nothing",
        "mlflow.pyfunc.loaders.chat_agent",
        "builtins",
        "__main__",
    ),
    *(
        "modelserving.trust.code",
        "modelserving.child",
        "..evil",
        "/tmp/evil",
        "code/evil",
        "a b",
        "numpy.f2py",
    ),
]
CODE = ["evil.py", "sklearn/__init__.py", "numpy.py", "sitecustomize.py"]
PATHS = [
    "../evil",
    "/etc/passwd",
    "..",
    "a/../../evil",
    "//proc/self/environ",
    "file:///etc/passwd",
    "C:x",
    "a\\\\b",
    "~/x/..",
]
KEYS = {
    "sklearn": ("pickled_model", "code"),
    "python_function": ("data", "model_path", "code", "python_model", "model_code_path", "model_config"),
    "onnx": ("data", "code"),
    "xgboost": ("data", "code"),
    "lightgbm": ("data", "code"),
}
EXTERNAL = ["../evil", "/etc/passwd", "a/../../evil", "gone.bin", "/proc/self/environ", "", "."]
DOCUMENTS = {
    "nothing": "",
    "a list": "- a",
    "a tag that calls": "flavors: !!python/object/apply:os.system [id]\n",
    "a tag that makes": "flavors: !!python/name:os.system\n",
    "an alias": "a: &a [1]\nflavors: *a\n",
    "laughs": "\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" if n else "a0: &a0 [x]" for n in range(30)),
    "a key twice": "flavors: {}\nflavors: {}\n",
    "brackets": "flavors: " + "[" * 5000,
    "two documents": "flavors: {}\n---\nflavors: {}\n",
    "flavors that are text": "flavors: os.system\n",
    "no flavor": "flavors: {}\n",
    "an unknown flavor": "flavors:\n  evil: {}\n",
    "a newer format": "flavors:\n  sklearn: {pickled_model: m}\nmodelserving:\n  format: 99\n",
}


def external(location):
    """An ONNX graph with one weight that lies in another file."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    pair = field(1, b"location") + field(2, location.encode())
    return field(7, field(5, field(13, pair) + bytes([14 << 3, 1])))


def write_all(root):
    """Every hostile model as a folder of its own, and for each flavor one that comes before the hook."""

    def folder(kind, name, text="flavors: {}\n", top="models"):
        path = root / top / f"{kind}: {name}".replace("/", "_").replace("\\", "_")
        path.mkdir(parents=True)
        (path / "MLmodel").write_text(text)
        return path

    for flavor in KEYS:
        (
            folder("first", flavor, entry(flavor, data="m", pickled_model="m", model_path="m"), "first") / "m"
        ).touch()
    (folder("first", "skops", skops_entry(), "first") / "model.skops").write_bytes(archive(GOOD))
    for at, ((name, call), (file, pack)) in enumerate(itertools.product(CALLS.items(), PACKINGS.items())):
        text = PICKLED[at % len(PICKLED)](file)
        (folder("pickle", f"{name} in {file}", text) / file).write_bytes(pack(call))
    for name, state in SCHEMAS.items():
        (folder("schema", name, skops_entry()) / "model.skops").write_bytes(
            archive(("schema.json", schema(state)))
        )
    for name, data in ARCHIVES.items():
        (folder("archive", name, skops_entry()) / "model.skops").write_bytes(data)
    for name, make in LINKS.items():
        make(folder("link", name, entry("sklearn", pickled_model="model.pkl")))
    for loader in LOADERS:
        made = folder("loader", loader, entry("python_function", loader_module=loader, data="d", code="code"))
        (made / "code").mkdir()
        (made / "code/evil.py").write_text(f"import os; os.system('echo {MARK}')\n")
        (made / "d").touch()
    for file, (flavor, keys) in itertools.product(CODE, KEYS.items()):
        text = (
            skops_entry(code="code") if flavor == "sklearn" else entry(flavor, **{keys[0]: "m"}, code="code")
        )
        path = folder("code", f"{file} beside {flavor}", text) / "code" / file
        path.parent.mkdir(parents=True)
        path.write_text(f"import os; os.system('echo {MARK}')\n")
        (path.parents[file.count("/") + 1] / "m").write_bytes(CALLS["system"].pickle(4))
    for path, (flavor, keys) in itertools.product(PATHS, KEYS.items()):
        for key in keys:
            folder("path", f"{flavor} {key} {path}", entry(flavor, **{key: f'"{path}"'}))
    for location in EXTERNAL:
        (
            folder("weights", location or "nothing", entry("onnx", data="model.onnx")) / "model.onnx"
        ).write_bytes(external(location))
    for name, text in DOCUMENTS.items():
        folder("MLmodel", name, text)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    write_all(root)
    answer = subprocess.run(
        [sys.executable, "-B", "-c", CHILD, str(root)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert MARK not in answer.stdout.replace(f"echo {MARK}", "").replace(f"print('{MARK}')", "")
    return json.loads(answer.stdout)


def test_there_are_many_hostile_models(report, record_property):
    record_property("hostile models", len(report))
    print(f"{len(report)} hostile models")

    assert len(report) >= LEAST


def test_every_hostile_model_is_refused(report):
    assert {name: outcome for name, (outcome, *_) in report.items() if outcome not in REFUSALS} == {}


def test_nothing_happens_before_the_refusal(report):
    assert {name: events for name, (_, events, _) in report.items() if events} == {}


def test_a_pickle_is_refused_whatever_it_is_called_and_however_it_is_packed(report):
    for (name, call), file in itertools.product(CALLS.items(), PACKINGS):
        outcome, _, inside = report[f"pickle: {name} in {file}"]

        assert outcome == "UntrustedModelError"
        assert f"{call.module}.{call.name}" in inside[file]


def test_a_loader_that_is_not_in_our_table_is_code(report):
    assert {report[name][0] for name in report if name.startswith("loader: ")} <= {
        "UntrustedModelError",
        "MLmodelError",
    }


def test_the_hook_sees_what_it_should(tmp_path):
    write_all(tmp_path)
    spy = CHILD.replace("        inside = ", "        os.system('true')\n        inside = ")

    answer = subprocess.run(
        [sys.executable, "-c", spy, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert "os.system" in answer.stdout
