"""``modelserving predict``."""

from __future__ import annotations

import click


@click.command()
@click.option("-m", "--model", required=True, metavar="URI", help="models:/…, runs:/… or a folder")
@click.option(
    "-i", "--input", "source", default="-", metavar="FILE", help="JSON or CSV; standard input if '-'"
)
@click.option("-o", "--output", "target", default="-", metavar="FILE", help="standard output if '-'")
@click.option(
    "-t", "--content-type", type=click.Choice(["json", "csv"]), help="by the file's name if not given"
)
@click.option("--method", metavar="NAME", help="such as predict_proba")
@click.option("--flavor", metavar="NAME", help="load the model as this one of its flavors")
@click.option("--store", metavar="LOCATION", help="MODELSERVING_STORE, else ./modelstore, if not given")
@click.option("--trust", multiple=True, metavar="DIGEST", help="sha256:… of a model whose code may run")
@click.option("--trust-store", multiple=True, metavar="PATH", help="a store whose models' code may run")
def predict(
    model: str,
    source: str,
    target: str,
    content_type: str | None,
    method: str | None,
    flavor: str | None,
    store: str | None,
    trust: tuple[str, ...],
    trust_store: tuple[str, ...],
) -> None:
    """Predictions for a file, without a server: the body of a request in, the body of the answer out."""
    from modelserving.predict_file import predict_file

    predict_file(
        model,
        source,
        target,
        content_type=content_type,
        method=method,
        flavor=flavor,
        store=store,
        trust=trust,
        trusted_stores=trust_store,
    )
