"""``modelserving models``: what is registered, and what may change about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from modelserving.cli._output import (
    as_json,
    json_option,
    local_store,
    moment,
    more,
    pairs,
    store_option,
    table,
    tags_of,
)
from modelserving.store import open_store
from modelserving.uri import ModelURI

if TYPE_CHECKING:
    from types import EllipsisType

    from modelserving.store import LocalStore


@click.group()
def models() -> None:
    """Registered models, their versions and aliases."""


@models.command("list")
@click.option("--name", default="", help="Only models whose name contains this.")
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Only models with this tag; may be repeated."
)
@click.option("--limit", default=100, show_default=True, help="At most this many.")
@click.option("--page", help="Where the page before said to go on.")
@store_option
@json_option
def list_(
    name: str, tags: tuple[str, ...], limit: int, page: str | None, store: str | None, json: bool
) -> None:
    """List registered models."""
    found = open_store(store).models(name=name, tags=tags_of(tags), limit=limit, page=page)
    if json:
        as_json({"models": found.items, "next": found.next})
        return
    table(
        ("name", "latest", "aliases", "tags", "description"),
        [
            (model.name, model.latest or "-", pairs(model.aliases), pairs(model.tags), model.description)
            for model in found
        ],
    )
    more(found.next)


@models.command()
@click.argument("name")
@store_option
@json_option
def show(name: str, store: str | None, json: bool) -> None:
    """Show one registered model."""
    found = open_store(store).model(name)
    if json:
        as_json(found)
        return
    table(
        (),
        [
            ("name", found.name),
            ("latest", found.latest or "-"),
            ("aliases", pairs(found.aliases)),
            ("tags", pairs(found.tags)),
            ("created", moment(found.created)),
            ("description", found.description),
        ],
    )


@models.command()
@click.argument("name")
@click.option("--limit", default=100, show_default=True, help="At most this many.")
@click.option("--page", help="Where the page before said to go on.")
@store_option
@json_option
def versions(name: str, limit: int, page: str | None, store: str | None, json: bool) -> None:
    """List the versions of a model, the newest first."""
    opened = open_store(store)
    found = opened.versions(name, limit=limit, page=page)
    if json:
        as_json({"versions": found.items, "next": found.next})
        return
    aliases = opened.model(name).aliases
    table(
        ("version", "aliases", "created", "source", "digest", "tags"),
        [
            (
                version.version,
                " ".join(sorted(alias for alias, number in aliases.items() if number == version.version)),
                moment(version.created),
                version.source,
                version.digest[:19],
                pairs(version.tags),
            )
            for version in found
        ],
    )
    more(found.next)


@models.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version", type=int, required=False)
@click.option(
    "--expected", metavar="VERSION", help="Only if it points there now; 'none': only if it is not set."
)
@click.option("--delete", is_flag=True, help="Remove the alias.")
@store_option
def alias(
    name: str, alias: str, version: int | None, expected: str | None, delete: bool, store: str | None
) -> None:
    """Let ALIAS of the model NAME point to VERSION."""
    if delete == (version is not None):
        raise click.UsageError("give either a version or --delete")
    opened = open_store(store)
    if version is None:
        opened.delete_alias(name, alias)
        click.echo(f"{name}@{alias} is gone")
    else:
        opened.set_alias(name, alias, version, expected=_expected(expected))
        click.echo(f"{name}@{alias} is version {version}")


@models.command()
@click.argument("name")
@click.argument("key")
@click.argument("value", required=False)
@click.option("--version", type=int, help="Of this version, not of the model.")
@click.option("--delete", is_flag=True, help="Remove the tag.")
@store_option
def tag(name: str, key: str, value: str | None, version: int | None, delete: bool, store: str | None) -> None:
    """Set the tag KEY of the model NAME to VALUE."""
    if delete == (value is not None):
        raise click.UsageError("give either a value or --delete")
    opened = open_store(store)
    if value is None:
        opened.delete_tag(name, key, version=version)
    else:
        opened.set_tag(name, key, value, version=version)


@models.command()
@click.argument("name")
@click.option("--version", type=int, help="Only this version, not the whole model.")
@click.option("--purge", is_flag=True, help="Let its run go of the model too, so that gc removes the files.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
def delete(name: str, version: int | None, purge: bool, yes: bool, store: str | None) -> None:
    """Delete a version or a model; its numbers are never used again."""
    what = f"version {version} of {name}" if version else f"{name} with all its versions"
    if not yes:
        click.confirm(f"Delete {what}?", abort=True)
    opened = open_store(store)
    if version is None:
        opened.delete_model(name, purge=purge)
    else:
        opened.delete_version(name, version, purge=purge)
    click.echo(f"deleted {what}; its files go with 'modelserving store gc' once no run has them")


@models.command("export")
@click.argument("which", nargs=-1, required=True)
@click.option("--to", "target", required=True, help="A new folder, or a new file that ends in .tar.")
@store_option
def export_(which: tuple[str, ...], target: str, store: str | None) -> None:
    """Write versions as a plain read-only folder or archive: NAME (all versions), NAME/3, NAME@champion."""
    opened = local_store(store)
    uris = [uri for one in which for uri in _uris(opened, one)]
    click.echo(f"wrote {opened.export(target, uris)}")


@models.command("import")
@click.argument("source")
@store_option
@json_option
def import_(source: str, store: str | None, json: bool) -> None:
    """Register every version of an export, each as the next of its name."""
    taken = local_store(store).import_(source)
    if json:
        as_json({"versions": taken})
        return
    table(
        ("name", "version", "digest"),
        [(version.name, version.version, version.digest[:19]) for version in taken],
    )


def _expected(text: str | None) -> int | EllipsisType | None:
    if text is None:
        return ...
    if text == "none":
        return None
    if not text.isascii() or not text.isdigit():
        raise click.UsageError(f"--expected is a version or 'none', not {text!r}")
    return int(text)


def _uris(store: LocalStore, text: str) -> list[ModelURI]:
    """What ``NAME``, ``NAME/3``, ``NAME/latest`` or ``NAME@alias`` stands for."""
    text = text.removeprefix("models:/")
    if "/" in text or "@" in text:
        return [ModelURI.parse(f"models:/{text}")]
    found = []
    page = store.versions(text)
    while True:
        found += [ModelURI("version", name=text, version=version.version) for version in page]
        if page.next is None:
            return found
        page = store.versions(text, page=page.next)
