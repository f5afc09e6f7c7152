"""The command ``modelserving``: one file a noun, each command calls one public function.

A command's module is imported only when that command runs, so ``modelserving --help`` stays fast.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from modelserving.errors import ModelServingError

_COMMANDS = {
    "convert": "a model that needs trust into one that does not",
    "compile": "add a proved ONNX twin to a model, as a new version",
    "demo": "train, log, register and serve a model on real data",
    "flavors": "installed flavors, the packages they come from, and what they need",
    "inspect": "what is inside a model, without loading it",
    "models": "registered models, their versions, aliases and tags",
    "predict": "predictions for a file, without a server",
    "serve": "serve models over HTTP",
    "store": "check and repair a store",
    "trust": "models whose code may run, by their digests",
}
"""Command -> its one line of help. Each is the attribute of its own name in
``modelserving.cli.<command>``."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"modelserving.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """From the table, so that help imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="modelserving", message="%(prog)s %(version)s")
def commands() -> None:
    """From a fitted model to a production API."""


def main() -> None:
    """Run the command line: exit code 0, 1 with one line on standard error, or 2 for wrong usage."""
    try:
        commands(auto_envvar_prefix="MODELSERVING", prog_name="modelserving")
    except ModelServingError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
