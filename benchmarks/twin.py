"""Time per row of scikit-learn against its compiled twin, with the answers of both compared while they run.

Run ``python benchmarks/twin.py``; it needs ``pip install 'modelserving[sklearn,compile]'``.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn import datasets, ensemble, linear_model, pipeline, preprocessing

from modelserving import load_model, resolve, save_model
from modelserving.signature.convert import convert

MODELS = {
    "random forest, iris": (ensemble.RandomForestClassifier(random_state=0), "iris"),
    "random forest, digits": (ensemble.RandomForestClassifier(random_state=0), "digits"),
    "histogram boosting, breast cancer": (ensemble.HistGradientBoostingClassifier(), "breast_cancer"),
    "scaler + logistic regression, breast cancer": (
        pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()),
        "breast_cancer",
    ),
}


def seconds(ask, rows):
    """The fastest of several calls, in seconds."""
    best, until = float("inf"), time.perf_counter() + 1
    while time.perf_counter() < until:
        start = time.perf_counter()
        ask(rows, {})
        best = min(best, time.perf_counter() - start)
    return best


def main():
    print(f"{'model':45} {'rows':>6} {'sklearn':>12} {'twin':>12} {'ratio':>7}")
    for name, (estimator, data) in MODELS.items():
        frame, labels = getattr(datasets, f"load_{data}")(return_X_y=True, as_frame=True)
        folder = Path(tempfile.mkdtemp(), "model")
        save_model(estimator.fit(frame, labels), folder, input_example=frame.head(), compile="onnx")
        model, twin = load_model(folder), resolve(folder, prefer_twin=True).load()
        for count in (1, 64, 10_000):
            data = np.resize(frame.to_numpy(), (count, frame.shape[1]))
            rows = convert(dict(zip(frame.columns, data.T, strict=True)), model.signature)
            assert np.array_equal(model.predict_rows(rows, {}), twin.predict_rows(rows, {}))
            slow, fast = seconds(model.predict_rows, rows), seconds(twin.predict_rows, rows)
            per_row = [f"{each / count * 1e6:9.2f} us" for each in (slow, fast)]
            print(f"{name:45} {count:6} {per_row[0]:>12} {per_row[1]:>12} {slow / fast:6.1f}x")


if __name__ == "__main__":
    main()
