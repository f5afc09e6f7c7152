"""``modelserving convert``: a model that needs trust into one that does not."""

from __future__ import annotations

from typing import Literal

import click

from modelserving.cli._output import store_option


@click.command()
@click.argument("uri")
@click.option("--to", required=True, type=click.Choice(["skops"]), help="The form of the result.")
@click.option("-o", "--output", metavar="FOLDER", help="A new folder; else the next version of the model.")
@store_option
@click.option(
    "--trust", multiple=True, metavar="DIGEST", help="Let the code of the model of this digest run."
)
@click.option(
    "--trust-store", multiple=True, metavar="PATH", help="Let the code of models of this store run."
)
def convert(
    uri: str,
    to: Literal["skops"],
    output: str | None,
    store: str | None,
    trust: tuple[str, ...],
    trust_store: tuple[str, ...],
) -> None:
    """Load the model URI once, in a child process, and keep it as data that loads without trust."""
    from modelserving.conversion import convert_model

    info = convert_model(uri, to, output=output, store=store, trust=trust or None, trusted_stores=trust_store)
    click.echo(f"converted to {info.model_uri} ({info.digest})")
