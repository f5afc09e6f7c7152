"""MLflow's side of the tests, run by a Python that has it: one JSON line asks, one JSON line answers."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import pickle
import random
import sys
import traceback
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc.scoring_server import invocations
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property


def about():
    """Which MLflow this is, and whether modelserving can be imported beside it."""
    return {
        "mlflow": mlflow.__version__,
        "modelserving": importlib.util.find_spec("modelserving") is not None,
    }


def write(folder, name):
    """Save one model; the request to ask it with and MLflow's answer."""
    import mlflow_models

    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    request = mlflow_models.MODELS[name](str(path))
    return {"request": request, "predictions": predict(str(path), request)}


def predict(folder, request):
    """What ``mlflow.pyfunc.load_model(folder)`` answers to the body of a request, by MLflow's own scoring."""
    model = mlflow.pyfunc.load_model(folder)
    answer = invocations(json.dumps(request), "application/json", model, model.metadata.get_input_schema())
    if answer.status != 200:
        raise ValueError(f"{answer.status}: {answer.response}")
    return json.loads(answer.response)["predictions"]


def signatures(forms):
    """Of each signature, how MLflow prints its inputs once read, and how it writes it again."""
    read = [ModelSignature.from_dict(form) for form in forms]
    return [{"text": repr(each.inputs), "again": outcome(each.to_dict)} for each in read]


def mlmodels(texts):
    """Each MLmodel file as MLflow reads it and writes it again, or why it does not."""
    return [outcome(lambda text=text: Model.from_dict(yaml.safe_load(text)).to_yaml()) for text in texts]


def outcome(function):
    try:
        return {"value": function()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def enforce(frames):
    """Of each pickled series and declared type, whether MLflow takes it as a column of a frame."""
    taken = []
    for kind, packed in frames:
        frame = pd.DataFrame({"a": pickle.loads(base64.b64decode(packed))})
        result = outcome(
            lambda kind=kind, frame=frame: str(_enforce_schema(frame, Schema([ColSpec(kind, "a")])).shape)
        )
        taken.append("ok" if "value" in result else "-")
    return taken


def cells(asked):
    """Of each declared type and JSON value, what reaches a model: as a cell of a frame, in ``inputs``."""
    received = []
    for kind, value in asked:
        model = Echo(ModelSignature(Schema([ColSpec(kind, "a")])))
        bodies = [f'{{"dataframe_records": [{{"a": {value}}}]}}', f'{{"inputs": {{"a": [{value}]}}}}']
        received.append([model.received(body) for body in bodies])
    return received


class Echo:
    """A loaded model that keeps what reaches it."""

    def __init__(self, signature):
        metadata = Model(signature=signature, flavors={"python_function": {"loader_module": "none"}})
        self.loaded = mlflow.pyfunc.PyFuncModel(metadata, self)

    def predict(self, data):
        value = data["a"].iloc[0] if isinstance(data, pd.DataFrame) else data["a"][0]
        self.value = (
            value.isoformat()
            if isinstance(value, pd.Timestamp)
            else repr(getattr(value, "item", lambda: value)())
        )
        return [0]

    def received(self, body):
        self.value = "refused"
        with contextlib.suppress(Exception):
            invocations(body, "application/json", self.loaded, self.loaded.metadata.get_input_schema())
        return self.value


def generate(seed, count):
    """Signatures made at random of MLflow's classes, as it writes them, with how it prints the inputs."""
    made = []
    dice = random.Random(seed)
    for _ in range(count):
        signature = ModelSignature(
            random_schema(dice), random_schema(dice) if dice.random() < 0.5 else None, random_params(dice)
        )
        made.append({"form": signature.to_dict(), "text": repr(signature.inputs)})
    return made


def random_text(dice):
    return "".join(dice.choice('abc XYZ09_-."\\/ñŁ漢😀\t') for _ in range(dice.randint(1, 8)))


def random_names(dice, count):
    names = []
    while len(names) < count:
        name = random_text(dice) if dice.random() < 0.7 else dice.randint(0, 99)
        if str(name) not in map(str, names):
            names.append(name)
    return names


def random_type(dice, depth=3):
    kind = dice.choice(["scalar", "scalar", "array", "object", "map", "any"] if depth else ["scalar"])
    if kind == "array":
        return Array(random_type(dice, depth - 1))
    if kind == "map":
        return Map(random_type(dice, depth - 1))
    if kind == "any":
        return AnyType()
    if kind == "object":
        names = {random_text(dice) for _ in range(dice.randint(1, 3))}
        return Object(
            [Property(name, random_type(dice, depth - 1), dice.random() < 0.5) for name in sorted(names)]
        )
    return dice.choice(list(DataType))


def random_schema(dice):
    count = dice.randint(1, 5)
    if dice.random() < 0.3:
        dtypes = ["float32", "float64", "int8", "int64", "uint8", "bool", "str", "object", "datetime64[ns]"]
        shape = (-1, *(dice.randint(1, 300) for _ in range(dice.randint(0, 3))))
        if dice.random() < 0.5:
            return Schema([TensorSpec(np.dtype(dice.choice(dtypes)), shape)])
        names = [str(name) for name in random_names(dice, count)]
        return Schema(
            [TensorSpec(np.dtype(dice.choice(dtypes)), shape, name) for name in dict.fromkeys(names)]
        )
    if dice.random() < 0.2:
        return Schema([ColSpec(random_type(dice)) for _ in range(count)])
    return Schema(
        [ColSpec(random_type(dice), name, dice.random() < 0.8) for name in random_names(dice, count)]
    )


def random_params(dice):
    values = {
        "boolean": lambda: dice.random() < 0.5,
        "integer": lambda: dice.randint(-(2**31), 2**31 - 1),
        "long": lambda: dice.randint(-(2**63), 2**63 - 1),
        "float": lambda: float(np.float32(dice.gauss(0, 1e3))),
        "double": lambda: dice.gauss(0, 1e9),
        "string": lambda: random_text(dice),
        "datetime": lambda: np.datetime64(dice.randint(0, 2**32), "s"),
    }
    if dice.random() < 0.5:
        return None
    specs = {}
    for name in {random_text(dice) for _ in range(dice.randint(1, 3))}:
        kind = dice.choice(list(values))
        shape = (-1,) if dice.random() < 0.3 else None
        default = [values[kind]() for _ in range(dice.randint(0, 3))] if shape else values[kind]()
        if (
            not shape and kind != "datetime" and dice.random() < 0.2
        ):  # MLflow cannot write a datetime without default
            default = None
        specs[name] = ParamSpec(name, DataType[kind], default, shape)
    return ParamSchema([specs[name] for name in sorted(specs)])


VERBS = {
    function.__name__: function
    for function in (about, cells, enforce, generate, mlmodels, predict, signatures, write)
}


def main():
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            question = json.loads(line)
            try:
                answer = {"value": VERBS[question.pop("verb")](**question)}
            except Exception:
                answer = {"error": traceback.format_exc()}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
