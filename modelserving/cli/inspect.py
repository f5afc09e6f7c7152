"""``modelserving inspect``: what is inside a model, without loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from modelserving.cli._output import as_json, json_option, pairs, store_option, table

if TYPE_CHECKING:
    from modelserving.inspection import Inspection


@click.command()
@click.argument("uri")
@click.option("--flavor", metavar="NAME", help="Look at it as this one of its flavors would load it.")
@store_option
@json_option
def inspect(uri: str, flavor: str | None, store: str | None, json: bool) -> None:
    """Show what is inside the model URI; nothing of it is loaded or run."""
    from modelserving.inspection import inspect_model

    found = inspect_model(uri, store=store, flavor=flavor)
    if json:
        as_json(found.to_dict())
    else:
        show(found)


def show(found: Inspection) -> None:
    """Print an inspection for people."""
    from modelserving.inspection import NO_PROOF

    nobody = "nobody" if found.tier == "code" else "nobody, and need not be"
    table(
        (),
        [
            ("model", found.uri),
            ("digest", found.digest),
            ("flavors", ", ".join(found.flavors)),
            ("loaded by", found.flavor or "no installed flavor"),
            ("tier", found.tier or "unknown"),
            *([("contains", found.contents)] if found.contents else []),
            ("trusted by", found.vouched_by or nobody),
            *([("problem", found.problem)] if found.problem else []),
            *((f"signature {key}", value) for key, value in (found.signature or {"": "none"}).items()),
            ("made with", pairs(found.made_with) or "not recorded"),
            *(("differs here", sentence) for sentence in found.differs),
        ],
    )
    click.echo()
    table(("size", "file"), [(file.size, file.path) for file in found.files])
    named = [file for file in found.files if file.imports or not file.complete]
    for file in named:
        click.echo(f"\nimported by {file.path!r} when it is loaded, as far as can be seen ({NO_PROOF}):")
        table((), [("", name) for name in file.imports])
        if not file.complete:
            click.echo("  and perhaps more: it could not be read to its end")
    if not named:
        click.echo(f"\nno code was found; {NO_PROOF}")
