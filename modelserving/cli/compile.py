"""``modelserving compile``: a proved ONNX twin of a registered model, as its next version."""

from __future__ import annotations

import click

from modelserving.cli._output import store_option


@click.command
@click.argument("uri")
@store_option
@click.option(
    "--tolerance", type=float, default=1e-12, show_default=True, help="How far numbers may be apart."
)
@click.option("--trust", metavar="DIGEST", multiple=True, help="Load code with this digest.")
def compile(uri: str, store: str | None, tolerance: float, trust: tuple[str, ...]) -> None:  # noqa: A001 - the command's name
    """Add a proved ONNX twin to the registered model URI, as its next version.

    The twin answers the input example and thousands of rows around it as the model does, or it is refused
    and the worst row is shown.
    """
    from modelserving.compile import compile_model

    version = compile_model(uri, store=store, tolerance=tolerance, trust=trust or None)
    click.echo(f"models:/{version.name}/{version.version}")
