"""How the commands print: aligned tables for people, JSON for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass

import click

from modelserving.errors import StoreError
from modelserving.store import ExportedStore, LocalStore, open_store

store_option = click.option(
    "--store", metavar="FOLDER", help="The store; default: $MODELSERVING_STORE, else ./modelstore."
)
json_option = click.option("--json", is_flag=True, help="Print JSON.")


def local_store(location: str | None) -> LocalStore:
    """The store at ``location``, which must not be an export.

    Raises:
        StoreError: It is one.
    """
    opened = open_store(location)
    if not isinstance(opened, LocalStore):
        where = opened.location if isinstance(opened, ExportedStore) else location
        raise StoreError(f"{str(where)!r} is an export, which is read-only; name a store")
    return opened


def as_json(value: object) -> None:
    """Print a record, or a mapping of records, as JSON."""
    click.echo(json.dumps(_plain(value), indent=2))


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in aligned columns under their heads; without heads, as names and values."""
    shown = [[_cell(value) for value in row] for row in ([heads] if heads else []) + list(rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))] if shown else []
    for row in shown:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def more(following: str | None) -> None:
    """Say on the error stream how to see the rest of a listing."""
    if following is not None:
        click.echo(f"there are more: --page {following}", err=True)


def moment(milliseconds: int) -> str:
    """A time as people read it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(milliseconds / 1000))


def pairs(mapping: Mapping[str, object]) -> str:
    """``a=1 b=2``."""
    return " ".join(f"{key}={value}" for key, value in sorted(mapping.items()))


def tags_of(texts: Sequence[str]) -> dict[str, str]:
    """The mapping that ``KEY=VALUE`` texts say.

    Raises:
        click.UsageError: One has no ``=``.
    """
    for text in texts:
        if "=" not in text:
            raise click.UsageError(f"--tag is KEY=VALUE, not {text!r}")
    return dict(text.split("=", 1) for text in texts)


def _cell(value: object) -> str:
    """One line of printable text: what a store holds must not move a terminal's cursor."""
    text = " ".join(str(value).split())
    return "".join(character if character.isprintable() else "?" for character in text)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
