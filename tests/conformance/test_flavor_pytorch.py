"""PyTorch modules keep the contract of a flavor; what loads without trust holds nothing but computation."""

import io
import json
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from modelserving.errors import DataError, FlavorLoadError, FlavorSaveError, UntrustedModelError
from modelserving.flavors import _pt2_archive
from modelserving.flavors.pytorch import PyTorchFlavor
from modelserving.testing import FlavorTests, grant

torch = pytest.importorskip("torch", reason="torch is not installed")

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.out = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x):
        return torch.softmax(self.out(self.drop(torch.relu(self.hidden(x)))), 1)
"""


class TwoInputs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, left, right):
        return {"sum": self.linear(left + right), "difference": (left - right,)}


def network():
    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3)
    return torch.nn.Sequential(*layers, torch.nn.Softmax(1))


def asked(model, data):
    """The framework's own answer, without the flavor."""
    modes = model.training
    with torch.no_grad():
        answer = model.eval()(torch.tensor(np.asarray(data), dtype=torch.float32)).numpy()
    model.train(modes)
    return answer


class TorchTests(FlavorTests):
    @pytest.fixture
    def model(self):
        return network()

    @pytest.fixture
    def data(self):
        return load_iris().data[::10].astype(np.float32)

    def expected(self, model, data, method):
        return asked(model, data)


class TestExported(TorchTests):
    @pytest.fixture
    def flavor(self):
        return PyTorchFlavor()


class TestPickled(TorchTests):
    @pytest.fixture
    def flavor(self):
        return PyTorchFlavor(serialization_format="pickle")


class TestWeightsAndAFactory(TorchTests):
    @pytest.fixture
    def flavor(self, tmp_path):
        (tmp_path / "net.py").write_text(NET)
        return PyTorchFlavor(module_factory=f"{tmp_path}/net.py:Net")

    @pytest.fixture
    def model(self):
        namespace = {"__name__": "nets"}
        exec(NET, namespace)
        return namespace["Net"]()


class TestNamedInputs(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return PyTorchFlavor(serialization_format="pt2")

    @pytest.fixture
    def model(self):
        torch.manual_seed(0)
        return TwoInputs()

    @pytest.fixture
    def data(self):
        rows = np.arange(8, dtype=np.float32).reshape(4, 2)
        return {"left": rows, "right": rows * 2}

    def expected(self, model, data, method):
        answer = model(torch.tensor(data["left"]), torch.tensor(data["right"]))
        return {"sum": answer["sum"].detach().numpy(), "difference": (answer["difference"][0].numpy(),)}


def saved(folder, flavor=None, model=None, example=None):
    """(flavor, its entry) of a network saved into a folder."""
    flavor = flavor or PyTorchFlavor()
    example = np.ones((2, 4), np.float32) if example is None else example
    return flavor, flavor.save(model or network(), folder, example=example)["pytorch"]


def test_the_entry_is_mlflows(tmp_path):
    entries = PyTorchFlavor().save(network(), tmp_path, example=np.ones((2, 4), np.float32))

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "model.pt2"]
    assert entries["pytorch"] == {"code": None, "model_data": "data", "pytorch_version": torch.__version__}
    pyfunc = entries["python_function"]
    assert (pyfunc["loader_module"], pyfunc["data"], pyfunc["config"]) == (
        "mlflow.pytorch",
        "data",
        {"device": None},
    )


def test_a_pickle_has_mlflows_files(tmp_path):
    saved(tmp_path, PyTorchFlavor(serialization_format="pickle"))

    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "model.pth",
        "pickle_module_info.txt",
    ]


def test_an_example_of_one_row_does_not_fix_the_number_of_rows(tmp_path):
    flavor, config = saved(tmp_path, example=np.ones((1, 4), np.float32))

    with grant(tmp_path, "native") as granted:
        model = flavor.load(granted.folder, config, grant=granted)
        for rows in (1, 2, 7):
            assert flavor.predict(model, np.ones((rows, 4), np.float32), {}, method="predict").shape == (
                rows,
                3,
            )


def test_saving_leaves_the_module_in_its_mode_and_exports_it_for_predicting(tmp_path):
    model = network().train()
    model[2].eval()

    flavor, config = saved(tmp_path, model=model)

    assert (model.training, model[2].training, model[3].training) == (True, False, True)
    with grant(tmp_path, "native") as granted:
        loaded = flavor.load(granted.folder, config, grant=granted)
        data = np.ones((2, 4), np.float32)
        assert flavor.predict(loaded, data, {}, method="predict").tolist() == asked(model, data).tolist()


def test_doubles_take_the_precision_of_the_module_and_frames_come_back_as_frames():
    flavor, model = PyTorchFlavor(), network().eval()
    data = load_iris().data[:5]
    frame = pd.DataFrame(data, index=list("abcde"))

    assert flavor.predict(model, data, {}, method="predict").tolist() == asked(model, data).tolist()
    answer = flavor.predict(model, frame, {}, method="predict")
    assert list(answer.index) == list("abcde")
    assert answer.to_numpy().tolist() == asked(model, data).tolist()


def test_text_is_refused_as_data():
    with pytest.raises(DataError, match="expected numbers"):
        PyTorchFlavor().predict(network(), np.array([["a"]]), {}, method="predict")


def test_without_an_example_a_module_is_pickled_and_a_note_says_why(tmp_path):
    entries = PyTorchFlavor().save(network(), tmp_path)

    assert "takes an input_example" in entries["modelserving"]["note"]
    assert (tmp_path / "data/model.pth").is_file()


def test_pt2_asked_for_is_not_replaced_by_a_pickle(tmp_path):
    class Choice(torch.nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 0 else x - 1

    with pytest.raises(FlavorSaveError, match="not as pt2"):
        PyTorchFlavor(serialization_format="pt2").save(
            Choice(), tmp_path, example=np.ones((2, 2), np.float32)
        )


def test_a_graph_for_one_number_of_rows_is_not_exported(tmp_path):
    class Fixed(torch.nn.Module):
        def forward(self, x):
            return x + torch.ones(2, 2)

    entries = PyTorchFlavor().save(Fixed(), tmp_path, example=np.ones((2, 2), np.float32))

    assert "one number of rows" in entries["modelserving"]["note"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"serialization_format": "joblib"}, "expected None or one of"),
        ({"serialization_format": "safetensors"}, "give module_factory"),
        ({"serialization_format": "pt2", "module_factory": "net.py:Net"}, "goes with"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(FlavorSaveError, match=message):
        PyTorchFlavor(**options)


def test_a_factory_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(FlavorSaveError, match=r"as 'net.py:Net'"):
        PyTorchFlavor(module_factory="nowhere.py:Net").save(network(), tmp_path)


def test_two_forms_in_one_folder_are_refused(tmp_path):
    flavor, config = saved(tmp_path)
    (tmp_path / "data/model.pth").write_bytes(b"")

    with grant(tmp_path, "code") as granted, pytest.raises(FlavorLoadError, match="expected one"):
        flavor.load(granted.folder, config, grant=granted)


def test_the_copy_that_torch_is_given_holds_neither_pickle_nor_source(tmp_path):
    saved(tmp_path)

    with zipfile.ZipFile(_pt2_archive.plain_copy(tmp_path / "data/model.pt2")) as copy:
        assert copy.read("model/data/sample_inputs/model.pt") == b""
        assert b"stack_trace" not in copy.read("model/models/model.json")


def rewritten(path, record, change):
    """Change one record of an archive; ``change`` gets its content and returns the new one."""
    with zipfile.ZipFile(path) as archive:
        contents = {info.filename: archive.read(info) for info in archive.infolist()}
    name = f"model/{record}"
    contents[name] = change(contents.get(name, b"null"))
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in contents.items():
            archive.writestr(each, content)


def graph(change):
    """A change of the graph as parsed JSON."""

    def changed(content):
        parsed = json.loads(content)
        change(parsed["graph_module"])
        return json.dumps(parsed).encode()

    return "models/model.json", changed


def node(**keys):
    return graph(lambda module: module["graph"]["nodes"][0].update(keys))


def text_argument(operator, text):
    arguments = [{"name": "filename", "arg": {"as_string": text}, "kind": 1}]
    return node(target=operator, inputs=arguments)


def size(expression):
    def change(module):
        values = module["graph"]["tensor_values"]
        next(iter(values.values()))["sizes"][0] = {"as_expr": {"expr_str": expression, "hint": None}}

    return graph(change)


def call(**keys):
    return graph(lambda module: module["module_call_graph"][0]["signature"].update(keys))


def weights(**keys):
    def changed(content):
        parsed = json.loads(content)
        next(iter(parsed["config"].values())).update(keys)
        return json.dumps(parsed).encode()

    return "data/weights/model_weights_config.json", changed


EVIL_CONTEXT = '{"default_factory_module": "antigravity"}'
EVIL_TREE = json.dumps([1, {"type": "collections.defaultdict", "context": EVIL_CONTEXT, "children_spec": []}])

HOSTILE = {
    "a function of the system": text_argument("torch.os.system", "touch marker"),
    "an operator that writes": text_argument("torch.ops.aten.save", "marker"),
    "an operator that maps a file": text_argument("torch.ops.aten.from_file.default", "marker"),
    "a way up from an operator": node(target="torch.ops.aten.add.__class__"),
    "an operator of a package": node(target="torch.ops.mine.run.default"),
    "an extension": node(target="#mine:run"),
    "a shell in a text": text_argument("torch.ops.aten.einsum.default", "$(touch marker)"),
    "a size that calls": size("__import__('os').mkdir('marker')"),
    "a size that evaluates": size("eval(chr(49))"),
    "a size with attributes": size("s0.__class__"),
    "a size with a remark": size("s0 # s1"),
    "a name that is source": node(name="x):\n    import os\ndef g("),
    "an argument's name that is source": call(forward_arg_names=["x=__import__('os')"]),
    "a container that imports": call(in_spec=EVIL_TREE),
    "a pickled weight": weights(use_pickle=True),
    "a weight elsewhere": weights(path_name="../../secret"),
    "an object": graph(lambda module: module["signature"]["input_specs"].append({"custom_obj": {}})),
    "a library": ("data/aotinductor/model/model.so", lambda _: b"\x7fELF"),
    "a script": ("code/__torch__.py", lambda _: b"import os"),
    "weights as one pickle": ("data/weights/model.pt", lambda _: b"cos\n"),
    "no JSON": ("models/model.json", lambda _: b"cos\nsystem\n"),
    "nested without end": ("models/model.json", lambda _: b"[" * 200_000),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_an_archive_with_more_than_computation_is_code(tmp_path, monkeypatch, hostile):
    monkeypatch.chdir(tmp_path)
    flavor, config = saved(tmp_path)
    assert flavor.tier(tmp_path, config) == "native"

    rewritten(tmp_path / "data/model.pt2", *hostile)

    assert flavor.tier(tmp_path, config) == "code"
    with grant(tmp_path, "native") as granted, pytest.raises(UntrustedModelError, match=r"model\.pt2"):
        flavor.load(granted.folder, config, grant=granted)
    assert not (tmp_path / "marker").exists()


def test_a_pickled_example_is_never_opened(tmp_path):
    flavor, config = saved(tmp_path)
    bomb = io.BytesIO()
    bomb.write(f"cos\nmkdir\n(V{tmp_path}/marker\ntR.".encode())
    rewritten(tmp_path / "data/model.pt2", "data/sample_inputs/model.pt", lambda _: bomb.getvalue())

    with grant(tmp_path, "native") as granted:
        model = flavor.load(granted.folder, config, grant=granted)

    assert flavor.predict(model, np.ones((3, 4)), {}, method="predict").shape == (3, 3)
    assert not (tmp_path / "marker").exists()


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # torch about its own GRU
def test_real_networks_are_exported_as_plain_graphs(tmp_path):
    """Convolutions, normalisation, attention, recurrence and embeddings, each with any number of rows."""
    attention = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    image, sequence = np.ones((2, 3, 16, 16), np.float32), np.ones((2, 5, 8), np.float32)
    convolution = torch.nn.Conv2d(3, 4, 3, padding="same"), torch.nn.BatchNorm2d(4), torch.nn.GELU("tanh")
    words = torch.nn.Sequential(torch.nn.Embedding(10, 4), torch.nn.Flatten(), torch.nn.Linear(20, 2))
    pooled = torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.LayerNorm(16)
    for number, (model, example) in enumerate(
        [
            (torch.nn.Sequential(*convolution, torch.nn.MaxPool2d(2), *pooled), image),
            (attention, sequence),
            (torch.nn.GRU(8, 4, batch_first=True), sequence),
            (words, np.ones((2, 5), np.int64)),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        flavor, config = saved(folder, PyTorchFlavor("pt2"), model.eval(), example)

        with grant(folder, flavor.tier(folder, config)) as granted:
            assert granted.tier == "native"
            loaded = flavor.load(granted.folder, config, grant=granted)
            more = np.concatenate([example] * 3)
            own = model(torch.tensor(more))
            own = own[0] if isinstance(own, tuple) else own
            answer = flavor.predict(loaded, more, {}, method="predict")
            answer = answer[0] if isinstance(answer, tuple) else answer
            np.testing.assert_allclose(answer, own.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_class_that_only_the_script_knows_is_pickled_by_value(tmp_path):
    module = type(sys)("script")
    exec(NET, module.__dict__)
    flavor, config = saved(tmp_path, PyTorchFlavor("pickle"), module.Net())

    with grant(tmp_path, "code") as granted:
        loaded = flavor.load(granted.folder, config, grant=granted)

    assert not loaded.training
