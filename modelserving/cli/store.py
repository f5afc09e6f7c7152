"""``modelserving store``: is it well, make its index anew, take away what nothing needs."""

from __future__ import annotations

import os
import re

import click

from modelserving.cli._output import as_json, json_option, local_store, store_option, table
from modelserving.store import LocalStore

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group("store")
def store() -> None:
    """The store itself."""


@store.command()
@click.option("--quick", is_flag=True, help="Leave the bytes of the models unread.")
@store_option
@json_option
@click.pass_context
def doctor(context: click.Context, quick: bool, store: str | None, json: bool) -> None:
    """Look at everything, change nothing; exit code 1 if something was lost or changed."""
    findings = _damaged_or_not(store).doctor(quick=quick)
    if json:
        as_json({"findings": findings})
    elif findings:
        table(("severity", "file", "problem"), [(one.severity, one.file, one.problem) for one in findings])
    else:
        click.echo("nothing is wrong")
    context.exit(1 if any(one.severity == "error" for one in findings) else 0)


@store.command()
@store_option
@json_option
def rebuild(store: str | None, json: bool) -> None:
    """Make the index anew from the sidecars; the old one stays as registry.db.old."""
    result = _damaged_or_not(store).rebuild()
    if json:
        as_json(result)
        return
    click.echo(f"{result.models} models, {result.versions} versions, {result.runs} runs")
    if result.problems:
        table(("file", "problem"), [(one.file, one.problem) for one in result.problems])


@store.command()
@click.option(
    "--grace",
    default="24h",
    show_default=True,
    help="Only what has been unneeded for so long: 90s, 30m, 24h, 7d.",
)
@store_option
@json_option
def gc(grace: str, store: str | None, json: bool) -> None:
    """Remove the files of models that no version and no run has any more."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", grace, re.ASCII)
    if match is None:
        raise click.UsageError(f"--grace is a number and s, m, h or d, not {grace!r}")
    result = local_store(store).gc(grace=int(match[1]) * _UNITS[match[2]])
    if json:
        as_json(result)
    elif result.skipped:
        click.echo(f"nothing was removed: {result.skipped}")
    else:
        click.echo(
            f"removed {len(result.trees)} models, {result.bytes} bytes; {result.kept} are too young yet"
        )


def _damaged_or_not(location: str | None) -> LocalStore:
    """The store, without asking first whether it is one: that is what its doctor is for."""
    return LocalStore(location or os.environ.get("MODELSERVING_STORE") or "modelstore")
