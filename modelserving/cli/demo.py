"""``modelserving demo``."""

from __future__ import annotations

import click


@click.command()
@click.option("--once", is_flag=True, help="ask once over HTTP, print the answer, and end")
@click.option(
    "-p", "--port", default=5000, show_default=True, type=click.IntRange(0, 65535), help="0 picks one"
)
@click.option("--store", metavar="LOCATION", help="a new temporary store if not given")
def demo(*, once: bool, port: int, store: str | None) -> None:
    """Train a RandomForest on real data, log, register and serve it."""
    from modelserving.demo import run

    run(once=once, port=port, store=store)
