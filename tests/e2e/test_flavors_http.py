"""Each framework's model, fitted on a data set of scikit-learn, answers over HTTP as the framework does."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

import modelserving

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # TensorFlow's own


def catboost():
    framework = pytest.importorskip("catboost", reason="catboost is not installed")
    frame = load_wine(as_frame=True)
    model = framework.CatBoostClassifier(
        iterations=20, verbose=False, allow_writing_files=False, thread_count=1
    )
    model.fit(frame.data, frame.target_names[frame.target])
    return model, frame.data, model.predict


def xgboost():
    framework = pytest.importorskip("xgboost", reason="xgboost is not installed")
    data = load_breast_cancer(as_frame=True)
    model = framework.XGBClassifier(n_estimators=10, n_jobs=1).fit(data.data, data.target)
    return model, data.data, model.predict


def lightgbm():
    framework = pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    X, y = load_diabetes(return_X_y=True)
    options = {"verbose": -1, "num_threads": 1}
    model = framework.train(options, framework.Dataset(X, y), num_boost_round=10)
    return model, X, model.predict


def pytorch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, 8, 8)), torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Dropout(0.2),
        torch.nn.Flatten(), torch.nn.Linear(144, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.tensor(X)), torch.tensor(y)).backward()
        optimizer.step()

    def predict(rows):
        with torch.no_grad():
            return model.eval()(torch.tensor(rows)).numpy()

    return model, X, predict


def keras():
    framework = pytest.importorskip("keras", reason="keras is not installed")
    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)
    framework.utils.set_random_seed(0)
    layers = framework.layers.Dense(8, activation="relu"), framework.layers.Dense(3, activation="softmax")
    model = framework.Sequential([framework.Input((4,)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, y, epochs=3, verbose=0)
    return model, X, lambda rows: model.predict(rows, verbose=0)


def tensorflow():
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    X, y = load_diabetes(return_X_y=True)
    X = X.astype(np.float32)

    class Linear(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(np.linalg.lstsq(X, y, rcond=None)[0].astype(np.float32)[:, None])

        @tf.function(input_signature=[tf.TensorSpec([None, 10], tf.float32)])
        def __call__(self, x):
            return x @ self.weights

    model = Linear()
    return model, X, lambda rows: model(tf.constant(rows)).numpy()


QUICK = [catboost, xgboost, lightgbm]
SLOW = [pytest.param(each, marks=pytest.mark.slow) for each in (pytorch, keras, tensorflow)]


@pytest.mark.parametrize("fitted", [*QUICK, *SLOW], ids=lambda fitted: fitted.__name__)
def test_the_answer_over_http_is_that_of_the_framework(fitted, serve, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELSERVING_STORE", str(tmp_path / "store"))
    model, data, predict = fitted()
    rows = data[::25]

    info = modelserving.log_model(model, "model", registered_model_name="Model", input_example=data[:3])
    server = serve("-m", "models:/Model/1", cwd=tmp_path)
    if hasattr(rows, "columns"):
        body = {"dataframe_split": {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}}
    else:
        body = {"inputs": rows.tolist()}
    status, _, answer = server.ask("/invocations", body)

    assert fitted.__name__ in info.flavors
    assert (status, list(answer)) == (200, ["predictions"])
    equal(answer["predictions"], predict(rows))


def equal(answer, expected):
    """Text is the same; numbers too, but for last digits, which the number of rows in one call decides."""
    if expected.dtype.kind in "OUS":
        assert answer == expected.tolist()
    else:
        np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-6)
