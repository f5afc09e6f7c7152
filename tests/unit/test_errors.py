"""Errors write their own sentence: one line, lower case, with what to do."""

import pickle
import re

import pytest

from modelserving import errors
from modelserving.errors import Problem

PROBLEMS = [Problem("long", "2.5", row=3, column="age"), Problem("a list", "7", path="$.inputs[0].data")]

EXAMPLES = [
    errors.GoldenRowsError("iris", "$[0]", "1", "2", 3),
    errors.MLmodelError("unexpected type int (expected str)", "m/MLmodel", "flavors.sklearn.pickled_model"),
    errors.SignatureError("columns and tensors cannot be mixed; give one kind"),
    errors.DataError(PROBLEMS),
    errors.InvalidURIError("models:/a", "it names no version"),
    errors.UntrustedModelError("models:/fraud/3", "sha256:9f2c", "code", "Python code (python_model.pkl)"),
    errors.DamagedModelError("m/model.pkl", "sha256:1", "sha256:2"),
    errors.PredictionError("iris", "ValueError"),
    errors.ConversionError("models:/fraud/3", "types that are not data (__main__.F)"),
    errors.ExampleError("ValueError: no"),
    errors.ConversionError("models:/iris/1", "it is data already; nothing is to be done"),
    errors.CompileError("its labels are neither numbers nor text", "iris"),
    errors.UnequalTwinError("predict", 12_005, 3, 0.0, 1e-12, {"a": 1.5, "b": "x"}, 1, 2),
    errors.PathTakenError("m"),
    errors.FlavorNotFoundError(["b"], ["a"]),
    errors.FlavorNotFoundError(["b"], ["a"], of_model=True),
    errors.FlavorLoadError("a", "pkg", "it cannot be imported; repair it"),
    errors.DuplicateFlavorError("a", ["x", "y"]),
    errors.NoFlavorError("builtins.int", ["a"]),
    errors.NoFlavorError("builtins.int", ["a"], asked="a"),
    errors.MissingDependencyError("granian", "the command 'serve'", "serve"),
    errors.MissingDependencyError("somebodys", "flavor 'x'"),
    errors.ModelNotFoundError("iris", "the store 's'", ["churn"]),
    errors.VersionNotFoundError("iris", 9, [1, 2]),
    errors.AliasNotFoundError("iris", "champion", []),
    errors.RunNotFoundError("a" * 32, "the store 's'"),
    errors.AliasMovedError("iris", "champion", 1, 2),
    errors.NameTakenError("Iris", "iris"),
    errors.StoreBusyError("s", 30.0),
    errors.StoreFullError("s", "no space left on device"),
    errors.DamagedStoreError("s/registry.db", "it is not a database"),
    errors.RequestError("the body is not JSON; send an object"),
    errors.OverloadedError(0.5),
    errors.UnavailableError("iris", "the app is closed; send the request to a running server"),
    errors.AddressError("127.0.0.1", 5000, "the port is in use"),
    errors.UnserializableError("a generator", "$[0]"),
    errors.FlavorSaveError("sklearn", "it cannot be pickled; define the class in a module"),
    errors.CompileError("its steps are not known; log it with compile=None"),
    errors.UnequalTwinError("predict", 100, 2, 0.5, 0.0, {"a": 1.0}, 1, 0),
    errors.RequirementError("-r x", "it starts with '-'; give a distribution"),
    errors.InvalidTrustError("md5:1"),
    errors.TrustFolderError("trust", "others can write to it; run: chmod 700 on it"),
    errors.DeadlineError(60),
]


def classes():
    every = [each for each in vars(errors).values() if isinstance(each, type)]
    return {each for each in every if issubclass(each, errors.ModelServingError)}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_is_one_line_that_starts_in_lower_case(error):
    text = str(error)

    assert "\n" not in text
    assert text[0] == text[0].lower()


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_crosses_processes_whole(error):
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_every_class_has_an_example_here():
    grouping = {errors.ModelServingError, errors.FlavorError, errors.StoreError}

    assert classes() - {type(error) for error in EXAMPLES} == grouping


def test_the_tree_in_the_docstring_names_every_class():
    assert {each.__name__ for each in classes()} <= set(re.findall(r"\w+Error\b", errors.__doc__))


def test_a_data_error_shows_three_problems_and_counts_the_rest():
    error = errors.DataError([Problem("long", "'x'", row=row) for row in range(30)])

    assert str(error).endswith("row 2: expected long, got 'x'; and 27 more")
    assert len(error.problems) == errors.DataError.LIMIT


def test_a_message_shows_at_most_80_characters_of_a_clients_data():
    assert len(errors.excerpt("x" * 10_000)) == 80
    assert errors.excerpt("tab\there") == r"'tab\there'"
    assert errors.excerpt("\u202e") == r"'\u202e'"
