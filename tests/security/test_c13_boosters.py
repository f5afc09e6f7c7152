"""C13: native code reads boosted trees from elsewhere only if no number in them leads out of their arrays."""

import copy
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving import load_model, save_model
from modelserving.errors import UntrustedModelError
from modelserving.trust import policy
from modelserving.trust.boosters import problem_in_lightgbm, problem_in_xgboost
from modelserving.trust.boosters.ubjson import parse_ubjson

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(300, 3)).astype("float32")
X[:, 2] = RANDOM.integers(0, 6, 300)
Y = (X[:, 0] + (X[:, 2] % 2) > 0.5).astype(int)


def boosted(params=None, data=X, label=Y, rounds=3, **options):
    options = {"feature_types": ["q", "q", "c"], "enable_categorical": True} if data is X else options
    return xgboost.train(
        {"max_depth": 3, "max_cat_to_onehot": 1, **(params or {})},
        xgboost.DMatrix(data, label, **options),
        rounds,
    )


def grown(params=None, label=Y, **options):
    params = {"objective": "regression", "verbose": -1, "num_leaves": 5, **(params or {})}
    return lightgbm.train(params, lightgbm.Dataset(X, label, **options), 3)


FORESTS = {
    "categories": lambda: boosted(),
    "pruned": lambda: boosted({"tree_method": "exact", "gamma": 0.2, "max_depth": 6}, X[:, :2]),
    "by loss": lambda: boosted({"grow_policy": "lossguide", "max_leaves": 9}),
    "dart": lambda: boosted({"booster": "dart"}, X[:, :2]),
    "linear": lambda: boosted({"booster": "gblinear", "verbosity": 0}, X[:, :2]),
    "classes": lambda: boosted({"objective": "multi:softprob", "num_class": 3, "num_parallel_tree": 2}),
    "targets": lambda: boosted({}, X[:, :2], np.stack([Y, 1 - Y], 1)),
    "vector leaves": lambda: boosted(
        {"multi_strategy": "multi_output_tree"}, X[:, :2], np.stack([Y, 1 - Y], 1)
    ),
    "no trees": lambda: boosted(rounds=0),
}
TEXTS = {
    "plain": lambda: grown(),
    "categories": lambda: grown(
        {"min_data_per_group": 1, "max_cat_to_onehot": 1, "cat_smooth": 0}, categorical_feature=[2]
    ),
    "classes": lambda: grown({"objective": "multiclass", "num_class": 2}),
    "one against all": lambda: grown({"objective": "multiclassova", "num_class": 2}),
    "linear leaves": lambda: grown({"linear_tree": True}, label=X @ [1.0, 2.0, 3.0]),
    "dart": lambda: grown({"boosting": "dart"}),
    "one leaf": lambda: grown(label=np.ones(300)),
}


@pytest.mark.parametrize("name", FORESTS)
@pytest.mark.parametrize("form", ["json", "ubj"])
def test_what_xgboost_writes_is_sound(name, form):
    model = FORESTS[name]()

    assert problem_in_xgboost(bytes(model.save_raw(form))) == ""
    assert problem_in_xgboost(bytes(model.__getstate__()["handle"])) == ""


@pytest.mark.parametrize("name", TEXTS)
def test_what_lightgbm_writes_is_sound(name):
    assert problem_in_lightgbm(TEXTS[name]().model_to_string().encode()) == ""


def test_both_forms_of_xgboost_say_the_same():
    model = FORESTS["categories"]()

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | np.ndarray):
            return [plain(item) for item in value]
        return pytest.approx(value) if isinstance(value, float) else value

    assert plain(json.loads(model.save_raw("json"))) == parse_lists(
        parse_ubjson(bytes(model.save_raw("ubj")))
    )


def parse_lists(value):
    if isinstance(value, dict):
        return {key: parse_lists(item) for key, item in value.items()}
    return [parse_lists(item) for item in value] if isinstance(value, list | np.ndarray) else value


def changed(place, key, index, value):
    """The categorical forest with one number of its first tree, or of its model, changed."""
    model = json.loads(FORESTS["categories"]().save_raw("json"))
    inside = model["learner"]["gradient_booster"]["model"]
    target = (
        inside["trees"][0] if place == "tree" else inside if place == "model" else model["learner"][place]
    )
    if index is None:
        target[key] = value
    else:
        target[key][index] = value
    return json.dumps(model).encode()


@pytest.mark.parametrize(
    ("place", "key", "index", "value", "said"),
    [
        ("tree", "left_children", 0, 10**6, "a child out of range"),
        ("tree", "left_children", 0, 2**31 - 1, "a child out of range"),
        ("tree", "right_children", 0, -7, "a child out of range"),
        ("tree", "left_children", 0, 0, "a child out of range"),
        ("tree", "left_children", 1, 2, "a child with two parents"),
        ("tree", "right_children", 0, -1, "a child out of range"),
        ("tree", "split_indices", 0, 3, "a feature out of range"),
        ("tree", "split_indices", 0, -1, "a feature out of range"),
        ("tree", "split_conditions", None, [0.0], "arrays of other lengths"),
        ("tree", "default_left", None, [], "arrays of other lengths"),
        ("tree", "left_children", 0, 0.5, "an array of integers holds something else"),
        ("tree", "left_children", None, "AAAA", "an array of integers holds something else"),
        ("tree", "tree_param", "num_nodes", "99999999", "arrays of other lengths"),
        ("tree", "tree_param", "size_leaf_vector", "7", "leaves of 7 values"),
        ("tree", "categories_segments", None, [10**9] * 9, "sets of categories of another number"),
        ("tree", "categories_nodes", None, [], "sets of categories of another number"),
        ("model", "tree_info", 0, 5, "a class out of range"),
        ("model", "tree_info", None, [], "0 trees|trees, where"),
        ("model", "iteration_indptr", 1, 99, "rounds that are not"),
        ("learner_model_param", "num_feature", None, "-1", "sizes out of range"),
        ("learner_model_param", "num_class", None, "2000000000", "sizes out of range"),
        ("gradient_booster", "name", None, "gbcrash", "an unknown kind"),
    ],
)
def test_a_number_that_leads_out_is_found_in_xgboost(place, key, index, value, said):
    import re

    assert re.search(said, problem_in_xgboost(changed(place, key, index, value)))


def test_a_set_of_categories_that_leads_out_is_found():
    model = json.loads(FORESTS["categories"]().save_raw("json"))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    number, tree = next((at, tree) for at, tree in enumerate(trees) if tree["categories_nodes"])
    for key, value in (("categories_sizes", 10**9), ("categories_segments", -1), ("categories_nodes", 10**6)):
        worse = copy.deepcopy(model)
        worse["learner"]["gradient_booster"]["model"]["trees"][number][key][0] = value

        assert "categor" in problem_in_xgboost(json.dumps(worse).encode())
    tree["categories"][0] = 2**30
    assert "a category out of range" in problem_in_xgboost(json.dumps(model).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"binf",
        b"{}",
        b"[]",
        b'{"learner": 1}',
        b"{L",
        b"{" * 100_000,
        b'{"a":' * 50_000,
        b"\x80\x04.",
    ],
)
def test_what_is_no_model_is_a_sentence(data):
    assert problem_in_xgboost(data)
    assert problem_in_lightgbm(data)


def test_a_key_that_stands_twice_is_found():
    text = changed("tree", "id", None, 0).decode()

    assert "twice" in problem_in_xgboost(text.replace('"trees"', '"trees": [], "trees"', 1).encode())


def test_two_models_in_one_file_are_found():
    model = json.loads(changed("tree", "left_children", 0, 10**6))
    sound = json.loads(FORESTS["categories"]().save_raw("json"))

    assert "more than one" in problem_in_xgboost(json.dumps({**model, "Model": sound}).encode())


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_of_ubjson_gives_a_sentence_or_a_model(data):
    content = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    assert isinstance(problem_in_xgboost(bytes(content)), str)


SMALL = bytes(boosted({"max_depth": 1}, rounds=1).save_raw("ubj"))


def test_a_length_of_ubjson_reserves_nothing():
    assert (
        problem_in_xgboost(b"{L" + struct.pack(">q", 1) + b"a[$d#L" + struct.pack(">q", 2**60))
        == "it ends early"
    )


def line(key, value, name="categories", tree=0):
    """The text of a model with one line of one tree, or of its head, replaced."""
    head, *trees = TEXTS[name]().model_to_string().split("\nTree=")
    if key in ("tree_sizes", "num_class", "num_tree_per_iteration", "max_feature_idx", "objective"):
        head = "\n".join(
            f"{key}={value}" if each.startswith(f"{key}=") else each for each in head.split("\n")
        )
    else:
        before = trees[tree].split("\n")
        trees[tree] = "\n".join(f"{key}={value}" if each.startswith(f"{key}=") else each for each in before)
        ends = [tree.partition("\nend of trees")[0] for tree in trees]
        sizes = " ".join(str(len(f"Tree={each}") + 1) for each in ends)
        head = "\n".join(
            f"tree_sizes={sizes}" if each.startswith("tree_sizes=") else each for each in head.split("\n")
        )
    return "\nTree=".join([head, *trees]).encode()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("left_child", "1 99 -2 -3", "a child out of range"),
        ("left_child", "0 0 0 0", "a child out of range"),
        ("left_child", "1 1 2 3", "a child with two parents"),
        ("right_child", "-99 -2 -3 -4", "a leaf out of range"),
        ("right_child", "-2", "arrays of other lengths"),
        ("split_feature", "9 0 0 0", "a feature out of range"),
        ("split_feature", "-1 0 0 0", "a feature out of range"),
        ("leaf_value", "1 2", "values of another number"),
        ("num_leaves", "1000000000", "values of another number"),
        ("num_leaves", "-5", "values of another number"),
        ("num_cat", "0", "a set of categories out of range"),
        ("cat_boundaries", "0 99", "sets of categories"),
        ("cat_threshold", "", "sets of categories"),
        ("left_child", "a b", "invalid literal"),
        ("tree_sizes", "1 2 3", "sizes of trees"),
        ("tree_sizes", "99999999", "sizes of trees"),
        ("num_class", "7", "a number of classes"),
        ("num_tree_per_iteration", "0", "trees in rounds"),
        ("max_feature_idx", "99", "names of another number"),
        ("objective", "multiclass num_class:9", "a number of classes"),
    ],
)
def test_a_number_that_leads_out_is_found_in_lightgbm(key, value, said):
    assert said in problem_in_lightgbm(line(key, value))


def test_linear_leaves_that_lead_out_are_found():
    assert "linear" in problem_in_lightgbm(line("num_features", "1 1 1 1 1", "linear leaves"))
    assert "constants" in problem_in_lightgbm(line("leaf_const", "1", "linear leaves"))


def test_an_unsound_model_from_elsewhere_is_refused_and_one_that_is_vouched_for_is_not_looked_at(tmp_path):
    info = save_model(boosted(), tmp_path / "m")
    policy.forget(info.digest)
    (tmp_path / "m/MLmodel.manifest").unlink()
    file = next((tmp_path / "m").glob("model.*"))
    file.write_bytes(changed("tree", "split_indices", 0, 99))

    with pytest.raises(
        UntrustedModelError, match="unsound: a feature out of range for 3, in tree 0"
    ) as caught:
        load_model(tmp_path / "m")

    assert caught.value.tier == "native"
    assert load_model(tmp_path / "m", trust="code").tier == "native"


def test_a_booster_in_a_skops_file_is_checked_too():
    from modelserving.trust.skops.content import problem_in_state

    sound = {"handle": bytearray(boosted().__getstate__()["handle"])}
    assert problem_in_state("xgboost.core.Booster", sound) == ""
    assert problem_in_state("xgboost.core.Booster", {"handle": changed("tree", "left_children", 0, 10**6)})
    assert problem_in_state("lightgbm.basic.Booster", {"_handle": TEXTS["plain"]().model_to_string()}) == ""
    assert problem_in_state("lightgbm.basic.Booster", {"_handle": line("left_child", "9 9 9 9").decode()})
