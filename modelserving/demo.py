"""The whole way once, on real data: what ``modelserving demo`` shows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack

import click

from modelserving.errors import MissingDependencyError, ModelServingError
from modelserving.model import Model, load_model
from modelserving.runs import log_model, start_run
from modelserving.store import open_store

NAME = "Wine"


def run(*, once: bool = False, port: int = 5000, store: str | None = None) -> None:
    """Train a RandomForest on scikit-learn's wine data, log, register and serve it.

    Args:
        once: Ask the server once over HTTP, print the answer, and end it.
        port: Where to serve; 0 picks a free port.
        store: The location of the store; a temporary one, removed at the end, if None.

    Raises:
        MissingDependencyError: scikit-learn or granian is not installed.
    """
    with ExitStack() as stack:
        location = store or stack.enter_context(tempfile.TemporaryDirectory(prefix="modelserving-demo-"))
        uri, example = _train_and_log(location)
        model = load_model(uri, store=location)
        click.echo(_card(model, uri))
        command = [
            sys.executable,
            "-m",
            "modelserving",
            "serve",
            "-m",
            uri,
            "--store",
            location,
            "-p",
            str(port),
        ]
        if once:
            _ask_once(command, example)
        else:
            click.echo(f"\n{' '.join(['modelserving', *command[3:]])}\n\n{_curl(port, example)}\n")
            from modelserving.serving.server import serve

            serve(uri, store=location, port=port)


def _train_and_log(store: str) -> tuple[str, dict[str, object]]:
    """The URI of the newly registered version, and the body of a request to it."""
    try:
        from sklearn.datasets import load_wine
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", "the command 'demo'", "sklearn") from error
    features, labels = load_wine(as_frame=True, return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(features, labels, random_state=42)
    forest = RandomForestClassifier(random_state=42).fit(train, train_labels)
    accuracy = float(forest.score(test, test_labels))
    with start_run(store=store):
        info = log_model(
            forest,
            "random-forest",
            registered_model_name=NAME,
            input_example=test.head(2),
            metadata={"accuracy": round(accuracy, 4), "data": "sklearn.datasets.load_wine"},
        )
    open_store(store).set_alias(NAME, "champion", info.registered_model_version or 1)
    rows = {"columns": list(test.columns), "data": test.head(2).to_numpy().tolist()}
    return info.model_uri, {"dataframe_split": rows}


def _card(model: Model, uri: str) -> str:
    inputs = model.signature.inputs if model.signature and model.signature.inputs else ()
    facts = model.metadata.metadata or {}
    rows = [
        ("model", f"{uri} (alias champion)"),
        ("flavor", f"{model.flavor.name}, {model.tier} tier"),
        ("inputs", f"{len(inputs)} columns: {', '.join(str(spec.name) for spec in list(inputs)[:3])}, …"),
        ("methods", ", ".join(model.methods)),
        ("trained on", f"{facts.get('data')}, accuracy {facts.get('accuracy')} on rows not seen"),
        ("digest", model.digest),
    ]
    return "\n".join(f"{name:<11} {value}" for name, value in rows)


def _curl(port: int, body: object) -> str:
    address = f"http://127.0.0.1:{port}/invocations"
    return f"curl -s {address} -H 'Content-Type: application/json' -d '{json.dumps(body)}'"


def _ask_once(command: list[str], body: object) -> None:
    """Serve in a process of its own, ask over HTTP, and end it whatever happens."""
    command[-1] = "0"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - this very program
        try:
            line = server.stdout.readline() if server.stdout else ""
            address = next((word for word in line.split() if word.startswith("http://")), None)
            if address is None:
                raise ModelServingError("the server did not start; its own message is above")
            request = urllib.request.Request(  # noqa: S310 - the address of our own server
                f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                click.echo(f"\n{_curl(int(address.rpartition(':')[2]), body)}\n{answer.read().decode()}")
        finally:
            server.terminate()
