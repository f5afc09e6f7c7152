"""``modelserving flavors``."""

from __future__ import annotations

import click

from modelserving import discovery
from modelserving.cli._output import as_json, json_option, table
from modelserving.environment import installed
from modelserving.errors import FlavorError


@click.command()
@json_option
def flavors(*, json: bool) -> None:
    """List installed flavors: where each comes from, what its files could do, and what it still needs."""
    found = [_row(name, packages) for name, packages in discovery.offers().items()]
    if json:
        as_json({"flavors": found})
        return
    heads = ("flavor", "package", "version", "tier", "needs")
    table(heads, [tuple(_cell(row, head) for head in heads) for row in found])


def _row(name: str, packages: tuple[discovery.Offer, ...]) -> dict[str, object]:
    """What is known of one flavor; ``error`` where it cannot be used."""
    row: dict[str, object] = {
        "flavor": name,
        "package": ", ".join(offer.package for offer in packages),
        "version": ", ".join(offer.version for offer in packages),
        "tier": [],
        "needs": [],
        "install": None,
        "error": None,
    }
    try:
        flavor = discovery.flavor(name)
    except FlavorError as error:
        return row | {"error": str(error)}
    missing = sorted({*flavor.requires} - {*installed(flavor.requires)})
    extra = f"'modelserving[{name}]'" if packages[0].package == "modelserving" else " ".join(missing)
    return row | {
        "tier": list(getattr(flavor, "tiers", ())),
        "needs": missing,
        "install": f"pip install {extra}" if missing else None,
    }


def _cell(row: dict[str, object], head: str) -> object:
    if head == "tier":
        return " or ".join(map(str, row["tier"])) or "-"  # type: ignore[call-overload]
    if head == "needs":
        return row["error"] or row["install"] or "-"
    return row[head]
