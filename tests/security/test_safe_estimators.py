"""Which of scikit-learn's estimators load without trust.

``python tests/security/test_safe_estimators.py`` writes the page of them in the docs.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skops")

import sklearn
from sklearn.base import is_regressor
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

from modelserving.trust.skops import load_skops, save_skops, tier

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sklearn-without-trust.md"
LEAST = 185

X, Y = make_classification(n_samples=60, n_features=5, n_informative=3, random_state=0)
POSITIVE = np.abs(X)
TARGET = np.abs(X @ np.arange(1, 6)) + 1
DOCUMENTS = ["one text here", "another text"]
RECORDS = [{"a": 1.0, "b": "x"}, {"a": 2.0}]

CLASSIFIER, REGRESSOR = {"estimator": LogisticRegression()}, {"estimator": Ridge()}
ARGUMENTS = {
    "ClassifierChain": CLASSIFIER,
    "ColumnTransformer": {"transformers": [("scale", StandardScaler(), [0, 1])]},
    "CCA": {"n_components": 1},
    "FeatureUnion": {"transformer_list": [("scale", StandardScaler())]},
    "FixedThresholdClassifier": CLASSIFIER,
    "FrozenEstimator": {"estimator": LogisticRegression().fit(X, Y)},
    "GaussianRandomProjection": {"n_components": 2},
    "GridSearchCV": {**CLASSIFIER, "param_grid": {"C": [0.1, 1.0]}},
    "MiniBatchSparsePCA": {"max_iter": 5},
    "MultiOutputClassifier": CLASSIFIER,
    "MultiOutputRegressor": REGRESSOR,
    "OneVsOneClassifier": CLASSIFIER,
    "OneVsRestClassifier": CLASSIFIER,
    "OutputCodeClassifier": CLASSIFIER,
    "PLSCanonical": {"n_components": 1},
    "PLSSVD": {"n_components": 1},
    "PatchExtractor": {"patch_size": (2, 2)},
    "Pipeline": {"steps": [("scale", StandardScaler()), ("model", LogisticRegression())]},
    "RFE": CLASSIFIER,
    "RFECV": CLASSIFIER,
    "RandomizedSearchCV": {**CLASSIFIER, "param_distributions": {"C": [0.1, 1.0]}, "n_iter": 2},
    "RegressorChain": REGRESSOR,
    "SelectFromModel": CLASSIFIER,
    "SelfTrainingClassifier": CLASSIFIER,
    "SequentialFeatureSelector": CLASSIFIER,
    "SparseCoder": {"dictionary": np.eye(5)},
    "SparseRandomProjection": {"n_components": 2},
    "SpectralBiclustering": {"n_clusters": 2},
    "StackingClassifier": {"estimators": [("model", LogisticRegression())]},
    "StackingRegressor": {"estimators": [("model", Ridge())]},
    "TunedThresholdClassifierCV": CLASSIFIER,
    "VotingClassifier": {"estimators": [("model", LogisticRegression())]},
    "VotingRegressor": {"estimators": [("model", Ridge())]},
}
DATA = {
    "CategoricalNB": ((X > 0).astype(int), Y),
    "ClassifierChain": (X, np.c_[Y, 1 - Y]),
    "CountVectorizer": (DOCUMENTS, None),
    "DictVectorizer": (RECORDS, None),
    "FeatureHasher": (RECORDS, None),
    "HashingVectorizer": (DOCUMENTS, None),
    "IsotonicRegression": (X[:, 0], TARGET),
    "KernelCenterer": (np.eye(5), None),
    "LabelBinarizer": (Y, None),
    "LabelEncoder": (Y, None),
    "MultiLabelBinarizer": ([(1, 2), (3,)], None),
    "MultiOutputClassifier": (X, np.c_[Y, 1 - Y]),
    "MultiOutputRegressor": (X, np.c_[TARGET, TARGET]),
    "PatchExtractor": (np.arange(192.0).reshape(3, 8, 8), None),
    "RegressorChain": (X, np.c_[TARGET, TARGET]),
    "TfidfVectorizer": (DOCUMENTS, None),
    **{
        f"MultiTask{name}": (X, np.c_[TARGET, TARGET])
        for name in ("ElasticNet", "ElasticNetCV", "Lasso", "LassoCV")
    },
}
QUICK = {"n_estimators": 3}
ESTIMATORS = dict(all_estimators())
METHODS = ("predict", "predict_proba", "decision_function", "transform", "score_samples", "kneighbors")


def data_for(name, model):
    return DATA.get(name) or (POSITIVE, TARGET if is_regressor(model) else Y)


def fitted(name):
    model = ESTIMATORS[name](**ARGUMENTS.get(name, {}))
    model.set_params(**{key: value for key, value in QUICK.items() if key in model.get_params(deep=False)})
    if "random_state" in model.get_params(deep=False):
        model.set_params(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*(part for part in data_for(name, model) if part is not None))


def answers(model, data):
    for method in METHODS:
        try:
            answer = getattr(model, method)(data)
        except (AttributeError, ValueError, TypeError):
            continue
        yield from (
            getattr(part, "toarray", lambda part=part: part)()
            for part in np.atleast_1d(answer)
            if part is not None
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"Birch"}))
def test_the_estimator_loads_without_trust_and_answers_the_same(name, tmp_path):
    model = fitted(name)
    data = data_for(name, model)[0]

    assert save_skops(model, tmp_path / "model.skops") == []
    assert tier(tmp_path / "model.skops") == "data"
    loaded = load_skops(tmp_path / "model.skops")
    for before, after in zip(answers(model, data), answers(loaded, data), strict=True):
        if before.dtype.kind == "f":  # BLAS rounds by how its input is aligned in memory
            np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)
        else:
            np.testing.assert_array_equal(after, before)


@pytest.mark.filterwarnings("ignore")
def test_birch_is_kept_as_a_pickle_and_says_why(tmp_path):
    reasons = save_skops(fitted("Birch"), tmp_path / "model.skops")

    assert reasons == ["skops cannot write it: Objects of type Birch are not supported yet."]
    assert not (tmp_path / "model.skops").exists()


INTRODUCTION = """\
# scikit-learn without trust

{safe} of the {all} estimators of scikit-learn {release} are saved as skops and load from anywhere without
anybody's trust: every type in the file is on our own list, and what compiled code relies on (trees, indices,
sparse matrices, category tables) is checked before first use. So do pipelines and searches made of them. The
others, and models that hold your own classes or functions, are kept as cloudpickle with a note that says why;
loading those asks who made them.

This page is generated and tested: `python tests/security/test_safe_estimators.py` writes it.
"""


def table():
    """One row for each estimator: its module, its name, and why it needs trust where it does."""
    for name, kind in sorted(ESTIMATORS.items()):
        with tempfile.TemporaryDirectory() as folder:
            reasons = save_skops(fitted(name), Path(folder, "model.skops"))
        yield kind.__module__.split("._")[0], name, "; ".join(reasons)


def page():
    rows = list(table())
    safe = sum(not reason for *_, reason in rows)
    lines = [
        INTRODUCTION.format(safe=safe, all=len(rows), release=sklearn.__version__),
        "| module | estimator | loads without trust |",
        "|---|---|---|",
        *(
            f"| `{module}` | `{name}` | {'no: ' + reason if reason else 'yes'} |"
            for module, name, reason in rows
        ),
    ]
    return "\n".join(lines) + "\n"


def test_the_page_says_what_the_tests_show():
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    safe = {row[1].strip("`") for row in rows if row[2].startswith("yes")}

    assert len(safe) >= LEAST
    assert f"{len(safe)} of the {len(rows)} estimators" in PAGE.read_text()
    if f"scikit-learn {sklearn.__version__} " in PAGE.read_text():
        assert {row[1].strip("`") for row in rows} == set(ESTIMATORS)
        assert set(ESTIMATORS) - safe == {"Birch"}


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE}\n")
