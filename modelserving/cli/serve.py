"""``modelserving serve``."""

from __future__ import annotations

import re

import click

_NAMED = re.compile(r"([A-Za-z0-9_.-]+)=(.+)", re.ASCII | re.DOTALL)


@click.command()
@click.option(
    "-m",
    "--model",
    "models",
    required=True,
    multiple=True,
    metavar="[NAME=]URI",
    help="models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN/NAME or a folder. Repeatable, with names.",
)
@click.option(
    "-p",
    "--port",
    default=5000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port; 0 for any free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Processes, each with its own model.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Predictions at once in a worker, if the model is thread-safe.",
)
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds a prediction may take; then 504.",
)
@click.option(
    "--store", metavar="PATH", help="The store; otherwise MODELSERVING_STORE, otherwise ./modelstore."
)
@click.option(
    "--trust",
    multiple=True,
    metavar="DIGEST",
    help="Let the code of the model with this digest run. Repeatable.",
)
@click.option(
    "--trust-store",
    multiple=True,
    metavar="PATH",
    help="Let the code of all models of this store run. Repeatable.",
)
@click.option("--flavor", metavar="NAME", help="Load the model as this one of its flavors.")
def serve(
    models: tuple[str, ...],
    port: int,
    host: str,
    workers: int,
    threads: int | None,
    timeout: float,
    store: str | None,
    trust: tuple[str, ...],
    trust_store: tuple[str, ...],
    flavor: str | None,
) -> None:
    """Serve a model over HTTP until Ctrl-C or SIGTERM."""
    from modelserving.serving.server import serve as run

    run(
        _named(models),
        host=host,
        port=port,
        workers=workers,
        threads=threads,
        timeout=timeout,
        store=store,
        flavor=flavor,
        trust=trust or None,
        trusted_stores=trust_store,
    )


def _named(models: tuple[str, ...]) -> str | dict[str, str]:
    """One model as it is, or each under the name before its ``=``.

    Raises:
        click.UsageError: One of several has no name, or two have the same.
    """
    found = [_NAMED.fullmatch(model) for model in models]
    if len(models) == 1 and found[0] is None:
        return models[0]
    named = {match[1]: match[2] for match in found if match}
    if len(named) < len(models):
        msg = (
            "several models need names, each its own: -m iris=models:/iris@champion -m churn=models:/churn/3"
        )
        raise click.UsageError(msg)
    return named
