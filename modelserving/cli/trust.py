"""``modelserving trust``: the digests that this user vouches for on this machine."""

from __future__ import annotations

import click

from modelserving.cli._output import as_json, json_option, store_option, table


@click.group()
def trust() -> None:
    """Models whose code may run for you on this machine, by the digest of all their bytes."""


@trust.command()
@click.argument("uri")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
def add(uri: str, yes: bool, store: str | None) -> None:
    """Show what is inside the model URI, and trust exactly these bytes from now on."""
    from modelserving.cli.inspect import show
    from modelserving.inspection import inspect_model
    from modelserving.trust import policy

    found = inspect_model(uri, store=store)
    show(found)
    if not yes:
        click.echo()
        click.confirm("Do you trust whoever made these exact bytes to run code as you?", abort=True)
    policy.remember(found.digest, uri)
    click.echo(f"trusted {found.digest}")


@trust.command("list")
@json_option
def list_(json: bool) -> None:
    """List the digests you trust; what you logged or saved yourself is among them."""
    from modelserving.trust import policy

    known = policy.remembered()
    if json:
        as_json({"digests": known})
    else:
        table(("digest", "note"), list(known.items()))


@trust.command()
@click.argument("which", metavar="URI|DIGEST")
@store_option
def remove(which: str, store: str | None) -> None:
    """Trust a model no longer, named by its URI or by its digest."""
    from modelserving.model import find
    from modelserving.trust import policy

    digest = which if which.startswith("sha256:") else find(which, store=store).verified.digest
    gone = policy.forget(digest)
    click.echo(f"{digest} is no longer trusted" if gone else f"{digest} was not trusted")
