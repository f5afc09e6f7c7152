"""Whatever stands in a skops file, the answer is an object to ask or a typed refusal; never a crash."""

import contextlib
import io
import json
import zipfile

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skops")

import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from modelserving.errors import DamagedModelError, FlavorLoadError, UntrustedModelError
from modelserving.trust.skops import load_skops

X, Y = make_classification(n_samples=40, n_features=4, random_state=0)
MODELS = [
    DecisionTreeClassifier(max_depth=3),
    RandomForestClassifier(2, max_depth=2),
    GradientBoostingClassifier(n_estimators=2, max_depth=2),
    HistGradientBoostingClassifier(max_iter=1, min_samples_leaf=5),
    KNeighborsClassifier(algorithm="kd_tree", leaf_size=5),
    KNeighborsClassifier(algorithm="ball_tree", leaf_size=5),
    make_pipeline(StandardScaler(), SVC()),
]
FILES = []
for model in MODELS:
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model.fit(X, Y)))) as archive:
        FILES.append({name: archive.read(name) for name in archive.namelist()})

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.sampled_from(
        [
            "os",
            "system",
            "builtins",
            "0",
            "-1",
            "99999999",
            "null",
            '"x"',
            "ObjectNode",
            "TreeNode",
            "numpy",
            "int64",
        ]
    ),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
)
numbers = st.sampled_from([-(2**62), -2, -1, 0, 1, 2, 3, 7, 255, 256, 2**31, 2**62])


def places(item, path=()):
    """Every place in a schema, by the keys that lead there."""
    yield path
    inner = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def ask(members, path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    try:
        model = load_skops(path)
    except (DamagedModelError, UntrustedModelError, FlavorLoadError):
        return
    with contextlib.suppress(Exception):  # an exception is an answer; a crash would end the tests
        model.predict(X)


@pytest.mark.filterwarnings("ignore")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(st.sampled_from(FILES), st.data())
def test_any_value_at_any_place_of_the_schema(tmp_path, members, data):
    schema = json.loads(members["schema.json"])
    place = data.draw(st.sampled_from([path for path in places(schema) if path]))
    inner = schema
    for key in place[:-1]:
        inner = inner[key]
    value = data.draw(values)
    inner[place[-1]] = json.dumps(value) if place[-1] == "content" and data.draw(st.booleans()) else value

    ask({**members, "schema.json": json.dumps(schema)}, tmp_path / "model.skops")


@pytest.mark.filterwarnings("ignore")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.sampled_from(FILES), st.data())
def test_any_number_at_any_place_of_an_array(tmp_path, members, data):
    name = data.draw(st.sampled_from(sorted(name for name in members if name.endswith(".npy"))))
    array = np.load(io.BytesIO(members[name]))
    flat = array.reshape(-1)
    index = data.draw(st.integers(0, max(0, flat.size - 1)))
    field = flat if array.dtype.names is None else flat[data.draw(st.sampled_from(array.dtype.names))]
    if flat.size and field.dtype.kind in "iuf":
        with np.errstate(all="ignore"):
            field[index] = np.array(data.draw(numbers)).astype(field.dtype)
    buffer = io.BytesIO()
    np.save(
        buffer, array[: data.draw(st.sampled_from([None, None, None, -1, 0, 1]))] if array.ndim else array
    )

    ask({**members, name: buffer.getvalue()}, tmp_path / "model.skops")
