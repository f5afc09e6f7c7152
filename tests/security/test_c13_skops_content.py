"""C13: a skops file whose arrays would lead compiled code astray is refused before it is used once."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skops")

import skops.io
from scipy.spatial.distance import euclidean
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import BallTree, KDTree, KernelDensity, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, SplineTransformer
from sklearn.random_projection import SparseRandomProjection
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

from modelserving.errors import DamagedModelError, UntrustedModelError
from modelserving.trust import policy
from modelserving.trust.skops import load_skops, save_skops, saveable, tier, types_in

X, Y = make_classification(n_samples=80, n_features=4, random_state=0)
CATEGORIES = np.array([["a", "x"], ["b", "y"], ["c", "y"]], dtype=object)


class Skops:
    """The schema and the members of a saved model, to be damaged and written again."""

    def __init__(self, model):
        with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.schema = json.loads(self.members.pop("schema.json"))

    def nodes(self, name):
        waiting = [self.schema]
        while waiting:
            item = waiting.pop()
            if isinstance(item, dict):
                if item.get("__class__") == name:
                    yield item
                waiting += item.values()
            elif isinstance(item, list):
                waiting += item

    def content(self, name):
        state = next(self.nodes(name))["content"]
        return state["content"]

    def array(self, node, change):
        """Load the array of a node, change it, and put it back."""
        array = np.load(io.BytesIO(self.members[node["file"]]))
        changed = change(array)
        buffer = io.BytesIO()
        np.save(buffer, array if changed is None else changed)
        self.members[node["file"]] = buffer.getvalue()

    def write(self, path):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**self.members, "schema.json": json.dumps(self.schema)}.items():
                archive.writestr(name, data)
        return path


def refused(path):
    with pytest.raises((DamagedModelError, UntrustedModelError)) as caught:
        load_skops(path)
    return str(caught.value)


def put(field, index, value):
    def change(array):
        array[field][index] = value

    return change


def number(value):
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
    }


TREE_DAMAGE = {
    "a child that is its own parent": ("nodes", put("left_child", 0, 0)),
    "a child far outside": ("nodes", put("right_child", 0, 10**12)),
    "a child before the first": ("nodes", put("left_child", 0, -5)),
    "a loop to an ancestor": ("nodes", put("left_child", 1, 0)),
    "one child only": ("nodes", put("right_child", 0, -1)),
    "a feature outside": ("nodes", put("feature", 0, 4)),
    "a negative feature": ("nodes", put("feature", 0, -3)),
    "a threshold that is no number": ("nodes", put("threshold", 0, np.nan)),
    "a value that is no number": ("values", lambda values: np.full_like(values, np.nan)),
    "fewer values than nodes": ("values", lambda values: values[:-1]),
    "values of another shape": ("values", lambda values: values[..., :1]),
    "values of another type": ("values", lambda values: values.astype("f4")),
    "fewer nodes": ("nodes", lambda nodes: nodes[:-1]),
    "no nodes": ("nodes", lambda nodes: nodes[:0]),
    "nodes of another type": (
        "nodes",
        lambda nodes: np.zeros(len(nodes), [("left_child", "i8"), ("x", "i8")]),
    ),
    "nodes in two dimensions": ("nodes", lambda nodes: nodes.reshape(-1, 1)),
}


@pytest.mark.parametrize(
    "model",
    [DecisionTreeClassifier(max_depth=3), RandomForestClassifier(2, max_depth=3)],
    ids=["tree", "forest"],
)
@pytest.mark.parametrize("damage", TREE_DAMAGE)
def test_a_crafted_tree_is_refused(model, damage, tmp_path):
    file = Skops(model.fit(X, Y))
    key, change = TREE_DAMAGE[damage]
    file.array(file.content("Tree")[key], change)

    assert "a sound Tree" in refused(file.write(tmp_path / "m.skops"))


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 3), (0, -1), (0, 10**30), (2, 2), (2, 0), (2, -1), (2, 10**9), (2, 1.0), (2, True)],
)
def test_a_tree_made_with_other_sizes_is_refused(place, value, tmp_path):
    file = Skops(DecisionTreeClassifier(max_depth=3).fit(X, Y))
    next(file.nodes("Tree"))["__reduce__"]["args"]["content"][place] = number(value)

    refused(file.write(tmp_path / "m.skops"))


def test_a_tree_of_more_features_than_are_let_in_is_refused(tmp_path):
    file = Skops(DecisionTreeClassifier(max_depth=3).fit(X, Y))
    next(file.nodes("Tree"))["__reduce__"]["args"]["content"][0] = number(400)
    file.array(file.content("Tree")["nodes"], put("feature", 0, 399))

    assert "a tree for other than 4 features" in refused(file.write(tmp_path / "m.skops"))


def set_attribute(name, **values):
    def damage(file):
        file.content(name).update({key: number(value) for key, value in values.items()})

    return damage


def set_array(name, key, change):
    return lambda file: file.array(file.content(name)[key], change)


def set_index(place, change):
    def damage(file):
        node = next(node for name in ("KDTree", "BallTree") for node in file.nodes(name))["content"][
            "content"
        ]
        if callable(change):
            file.array(node[place], change)
        else:
            node[place] = number(change)

    return damage


def categorical(X):
    return np.c_[X, np.arange(len(X)) % 5]


HIST = HistGradientBoostingClassifier(max_iter=2, categorical_features=[4])
COUNT = CountVectorizer()
CRAFTED = {
    "forest for more features": (
        RandomForestClassifier(2),
        set_attribute("RandomForestClassifier", n_features_in_=2),
    ),
    "forest over one tree for more": (
        RandomForestClassifier(2),
        set_attribute("DecisionTreeClassifier", n_features_in_=3),
    ),
    "a method hidden by a value": (
        RandomForestClassifier(2),
        set_attribute("RandomForestClassifier", _validate_X_predict=None),
    ),
    "a property hidden by a value": (SVC(), set_attribute("SVC", coef_=1)),
    "another algorithm of libsvm": (SVR(), set_attribute("SVR", _impl="c_svc")),
    "a dunder": (SVC(), set_attribute("SVC", __class__=1)),
    "isolation forest for more features": (
        IsolationForest(n_estimators=2),
        set_attribute("IsolationForest", n_features_in_=2, _max_features=2),
    ),
    "boosting for more features": (
        GradientBoostingClassifier(n_estimators=2),
        set_attribute("GradientBoostingClassifier", n_features_in_=2),
    ),
    "boosting with wider rows": (
        GradientBoostingClassifier(n_estimators=2),
        set_attribute("GradientBoostingClassifier", n_trees_per_iteration_=2),
    ),
    "histogram boosting: child outside": (HIST, set_array("TreePredictor", "nodes", put("left", 0, 10**6))),
    "histogram boosting: loop": (HIST, set_array("TreePredictor", "nodes", put("right", 0, 0))),
    "histogram boosting: feature outside": (
        HIST,
        set_array("TreePredictor", "nodes", put("feature_idx", 0, 99)),
    ),
    "histogram boosting: negative feature": (
        HIST,
        set_array("TreePredictor", "nodes", put("feature_idx", 0, -1)),
    ),
    "histogram boosting: category set outside": (
        HIST,
        set_array(
            "TreePredictor",
            "nodes",
            lambda nodes: put("bitset_idx", 0, 77)(nodes) or put("is_categorical", 0, 1)(nodes),
        ),
    ),
    "histogram boosting: no nodes": (HIST, set_array("TreePredictor", "nodes", lambda nodes: nodes[:0])),
    "histogram boosting: narrow category sets": (
        HIST,
        set_array("TreePredictor", "raw_left_cat_bitsets", lambda sets: np.zeros((len(sets), 4), "u4")),
    ),
    "histogram boosting: in the middle of fitting": (
        HIST,
        set_attribute("HistGradientBoostingClassifier", _in_fit=True),
    ),
    "histogram boosting: wider iterations": (
        HIST,
        set_attribute("HistGradientBoostingClassifier", n_trees_per_iteration_=3),
    ),
    "histogram boosting: categories of no feature": (
        HIST,
        set_array("_BinMapper", "is_categorical_", lambda flags: np.ones(2, bool)),
    ),
    "neighbours: index outside": (
        KNeighborsClassifier(algorithm="kd_tree"),
        set_index(1, lambda index: put(slice(None), 0, 10**9)(index)),
    ),
    "neighbours: negative index": (
        KNeighborsClassifier(algorithm="ball_tree"),
        set_index(1, lambda index: put(slice(None), 3, -1)(index)),
    ),
    "neighbours: node outside": (
        KNeighborsClassifier(algorithm="kd_tree"),
        set_index(2, put("idx_end", 0, 10**6)),
    ),
    "neighbours: node without children": (
        KNeighborsClassifier(algorithm="kd_tree", leaf_size=5),
        set_index(2, put("is_leaf", -1, 0)),
    ),
    "neighbours: fewer nodes": (
        KNeighborsClassifier(algorithm="kd_tree", leaf_size=5),
        set_index(2, lambda nodes: nodes[:1]),
    ),
    "neighbours: bounds of fewer features": (
        KNeighborsClassifier(algorithm="kd_tree"),
        set_index(3, lambda bounds: bounds[..., :1]),
    ),
    "neighbours: levels without end": (KNeighborsClassifier(algorithm="kd_tree"), set_index(5, 10**6)),
    "neighbours: one kind of bounds": (
        KNeighborsClassifier(algorithm="kd_tree"),
        set_index(3, lambda bounds: bounds[:1]),
    ),
    "neighbours: no leaf size": (KNeighborsClassifier(algorithm="kd_tree"), set_index(4, 0)),
    "neighbours: label outside": (
        KNeighborsClassifier(),
        set_array("KNeighborsClassifier", "_y", lambda y: y + 10**9),
    ),
    "neighbours: negative label": (
        KNeighborsClassifier(),
        set_array("KNeighborsClassifier", "_y", lambda y: y - 1),
    ),
    "neighbours: fewer labels": (
        KNeighborsClassifier(),
        set_array("KNeighborsClassifier", "_y", lambda y: y[:3]),
    ),
    "neighbours: fewer rows": (
        KNeighborsClassifier(algorithm="brute"),
        set_array("KNeighborsClassifier", "_fit_X", lambda x: x[:2]),
    ),
    "density of other features": (KernelDensity(), set_attribute("KernelDensity", n_features_in_=9)),
    "libsvm: counts of more vectors": (SVC(), set_array("SVC", "_n_support", lambda counts: counts + 1000)),
    "libsvm: negative counts": (
        SVC(),
        set_array("SVC", "_n_support", lambda counts: counts * [-1, 1] + [0, 2 * counts[0]]),
    ),
    "libsvm: fewer coefficients": (SVC(), set_array("SVC", "_dual_coef_", lambda coef: coef[:, :2])),
    "libsvm: no intercept": (SVC(), set_array("SVC", "_intercept_", lambda intercept: intercept[:0])),
    "libsvm: vectors of fewer features": (
        SVC(),
        set_array("SVC", "support_vectors_", lambda vectors: vectors[:, :1]),
    ),
    "libsvm: probabilities of one kind": (SVC(), set_array("SVC", "_probA", lambda values: np.zeros(1))),
    "libsvm: another kernel": (SVC(), set_attribute("SVC", kernel="precomputed")),
    "k-means: centres of fewer features": (
        KMeans(2, n_init=1, random_state=0),
        set_array("KMeans", "cluster_centers_", lambda c: c[:, :1]),
    ),
    "k-means: a million threads": (
        KMeans(2, n_init=1, random_state=0),
        set_attribute("KMeans", _n_threads=10**6),
    ),
    "splines: knots out of order": (
        SplineTransformer(),
        set_array("BSpline", "_t", lambda knots: knots[::-1]),
    ),
    "splines: few knots": (SplineTransformer(), set_array("BSpline", "_t", lambda knots: knots[:3])),
    "splines: few coefficients": (SplineTransformer(), set_array("BSpline", "_c", lambda values: values[:1])),
    "splines: degree": (SplineTransformer(), set_attribute("BSpline", k=50)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_estimator_is_refused(case, tmp_path):
    model, damage = CRAFTED[case]
    file = Skops(model.fit(categorical(X) if model is HIST else X, Y))
    load_skops(file.write(tmp_path / "sound.skops"))
    damage(file)

    refused(file.write(tmp_path / "m.skops"))


TABLES = {
    "words: column outside": (
        COUNT,
        ["a word", "more"],
        lambda file: file.content("CountVectorizer")["vocabulary_"]["content"].update(word=number(99)),
    ),
    "words: negative column": (
        COUNT,
        ["a word", "more"],
        lambda file: file.content("CountVectorizer")["vocabulary_"]["content"].update(word=number(-1)),
    ),
    "words: two in one column": (
        COUNT,
        ["a word", "more"],
        lambda file: file.content("CountVectorizer")["vocabulary_"]["content"].update(word=number(0)),
    ),
    "words from files that requests name": (
        COUNT,
        ["a word", "more"],
        set_attribute("CountVectorizer", input="filename"),
    ),
    "hashing into no columns": (FeatureHasher(), [{"a": 1}], set_attribute("FeatureHasher", n_features=0)),
    "one-hot: narrower than its categories": (
        OneHotEncoder(),
        CATEGORIES,
        lambda file: file.content("OneHotEncoder")["_n_features_outs"].update(content=[number(1), number(1)]),
    ),
    "one-hot: tables of fewer features": (
        OneHotEncoder(),
        CATEGORIES,
        lambda file: file.content("OneHotEncoder")["categories_"]["content"].pop(),
    ),
    "one-hot: a dropped category outside": (
        OneHotEncoder(drop="first"),
        CATEGORIES,
        lambda file: file.content("OneHotEncoder")["_drop_idx_after_grouping"]["content"].__setitem__(
            0, number(9)
        ),
    ),
    "ordinal: tables of fewer features": (
        OrdinalEncoder(),
        CATEGORIES,
        lambda file: file.content("OrdinalEncoder")["categories_"]["content"].pop(),
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_crafted_category_table_is_refused(case, tmp_path):
    model, data, damage = TABLES[case]
    file = Skops(model.fit(data))
    load_skops(file.write(tmp_path / "sound.skops"))
    damage(file)

    refused(file.write(tmp_path / "m.skops"))


def npz(**members):
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    return buffer.getvalue()


def matrix(form=b"csr", indptr=(0, 1, 2), indices=(0, 1), data=(1.0, 2.0), shape=(2, 4)):
    return npz(
        format=form,
        indptr=np.array(indptr),
        indices=np.array(indices),
        data=np.array(data),
        shape=np.array(shape),
    )


MATRICES = {
    "index outside": matrix(indices=(0, 10**6)),
    "negative index": matrix(indices=(0, -7)),
    "pointers that fall": matrix(indptr=(0, 2, 1)),
    "pointers past the end": matrix(indptr=(0, 1, 99)),
    "fewer pointers": matrix(indptr=(0, 2)),
    "another form": matrix(form=b"csc"),
    "an unknown form": matrix(form=b"zzz"),
    "a diagonal form": npz(
        format=b"dia", offsets=np.array([0]), data=np.ones((1, 4)), shape=np.array((2, 4))
    ),
    "objects": npz(
        format=b"csr",
        indptr=np.array([0, 1, 2]),
        indices=np.array([0, 1]),
        data=np.array([{}, 1], object),
        shape=(2, 4),
    ),
    "no zip": b"PK\x03\x04nothing",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", MATRICES)
def test_a_crafted_sparse_matrix_is_refused(case, tmp_path):
    file = Skops(SparseRandomProjection(2, density=0.9).fit(X))
    file.members[next(file.nodes("csr_matrix"))["file"]] = MATRICES[case]

    refused(file.write(tmp_path / "m.skops"))


def npy(header, data=b"", version=b"\x01\x00"):
    header = header.ljust((len(header) + 63) // 64 * 64 + 53) + "\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header.encode() + data


ARRAYS = {
    "more numbers than bytes": npy(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", bytes(8)
    ),
    "a product that wraps around": npy(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"
    ),
    "bytes left over": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", bytes(16)),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n."),
    "a header that is code": npy(
        "{'descr': __import__('os').getpid(), 'fortran_order': False, 'shape': (), }"
    ),
    "a negative shape": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"),
    "no magic": b"\x80\x04}.",
    "empty": b"",
    "cut in the header": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }")[:40],
    "a boolean that is neither": npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", b"\x07"),
    "a character that is none": npy(
        "{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", b"\xff\xff\xff\x7f"
    ),
    "numbers without a size": npy("{'descr': '|V0', 'fortran_order': False, 'shape': (9,), }"),
    "version 9": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0,), }", version=b"\x09\x00"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_a_crafted_array_is_refused(case, tmp_path):
    file = Skops(LogisticRegression().fit(X, Y))
    file.members[file.content("LogisticRegression")["coef_"]["file"]] = ARRAYS[case]

    refused(file.write(tmp_path / "m.skops"))


@pytest.mark.parametrize("position", [-1, 625, 10**9])
def test_a_random_generator_that_reads_past_its_table_is_refused(position, tmp_path):
    file = Skops(RandomForestClassifier(2, random_state=np.random.RandomState(0)).fit(X, Y))
    node = next(file.nodes("RandomState"))["content"]["content"]["state"]["content"]
    node["pos"] = number(position)

    assert "a position out of range" in refused(file.write(tmp_path / "m.skops"))


def test_only_a_bit_generator_is_called_by_name(tmp_path):
    file = Skops(HistGradientBoostingClassifier(max_iter=1).fit(X, Y))
    node = next(file.nodes("Generator"))["content"]["bit_generator"]["content"]
    node["bit_generator"] = number("seed")

    assert "a bit generator of numpy" in refused(file.write(tmp_path / "m.skops"))


@pytest.mark.parametrize(
    ("function", "label"),
    [
        (np.save, "numpy.save"),
        (np.fromfile, "numpy.fromfile"),
        (np.load, "numpy.load"),
        (len, "builtins.len"),
        (eval, "builtins.eval"),
        (json.loads, "json.loads"),
    ],
)
def test_a_function_that_is_not_on_the_list_needs_trust(function, label, tmp_path):
    model = FunctionTransformer(function)
    path = tmp_path / "m.skops"
    path.write_bytes(skops.io.dumps(model))

    assert types_in(path) == [label]
    assert tier(path) == "code"
    assert label in refused(path)
    assert saveable(model) == [label]


@pytest.mark.parametrize("function", [np.log1p, np.sqrt, np.exp, None])
def test_a_ufunc_needs_none(function, tmp_path):
    model = make_pipeline(FunctionTransformer(function), LogisticRegression()).fit(np.abs(X), Y)

    assert save_skops(model, tmp_path / "m.skops") == []
    np.testing.assert_array_equal(
        load_skops(tmp_path / "m.skops").predict(np.abs(X)), model.predict(np.abs(X))
    )


@pytest.mark.parametrize(
    ("index", "kind"), [(KDTree, "minkowski"), (BallTree, "haversine"), (BallTree, "canberra")]
)
def test_an_index_loads_with_its_metric(index, kind, tmp_path):
    model = index(X[:, :2], metric=kind)

    assert save_skops(model, tmp_path / "m.skops") == []
    np.testing.assert_array_equal(
        load_skops(tmp_path / "m.skops").query(X[:, :2], 3)[1], model.query(X[:, :2], 3)[1]
    )


def test_a_metric_that_calls_a_function_needs_trust():
    assert "sklearn.metrics._dist_metrics.PyFuncDistance64" in saveable(
        BallTree(X, metric="pyfunc", func=euclidean)
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("package", "name"), [("lightgbm", "LGBMClassifier"), ("xgboost", "XGBClassifier")])
def test_a_booster_is_of_tier_native_and_needs_a_grant(package, name, tmp_path):
    model = getattr(pytest.importorskip(package), name)(n_estimators=2).fit(X, Y)
    path = tmp_path / "model" / "model.skops"
    path.parent.mkdir()
    skops.io.dump(model, path)
    grant = policy.grant(policy.open_folder(path.parent), "native", model="m", reason="a booster")

    assert tier(path) == "native"
    assert any(name in problem for problem in saveable(model))
    refused(path)
    np.testing.assert_array_equal(load_skops(path, grant=grant).predict(X), model.predict(X))
