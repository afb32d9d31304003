"""The command group: loads commands when called for, and gives every expected error one line and code 2.

======== ==========================================================================================
code     means
======== ==========================================================================================
0        done
1        done, and the answer is no: gradients disagree (`check`), nothing fits (`memory --budget`), a target is
         not met (`optimize`)
2        not done: bad input, a library that is missing, a run that has no answer; one line says why
130      interrupted by Ctrl-C
143      terminated by SIGTERM
======== ==========================================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from backbeam.cli.interruption import Interrupted, stopping
from backbeam.cli.warned import saying_warnings
from backbeam.errors import BackbeamError

COMMANDS = {
    "run": "Track the beam of a problem and show it before and after.",
    "optics": "Find orbit, lattice functions, tunes and chromaticities of a problem's line or a lattice file.",
    "gradient": "Differentiate an objective of the beam with respect to parameters of line and beam.",
    "optimize": "Search for parameters of a problem at which targets are met, an objective is small, or both.",
    "check": "Compare gradients of every array library and method with each other and with differences.",
    "memory": "Say how much memory a gradient will take by each adjoint, and which fits.",
    "lattice": "Say what a lattice file of any code holds, what was dropped, and what is refused and where.",
    "convert": "Write a lattice of one code as that of another.",
    "backends": "List the array libraries that are installed, and why one cannot be used.",
    "guide": "Read the guide: its pages, or one of them.",
    "examples": "List the problems and programs that come with backbeam.",
}
"""Name and help of every command: ``name`` is ``command`` in ``backbeam.cli.<name>_command``."""

COMMAND = "backbeam.command"
"""Where the words of a command are kept in click's ``meta``."""


class App(click.Group):
    """Commands from files of their own, so that one never waits for what another needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"backbeam.cli.{cmd_name}_command").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Keep the words of the command, for what is written down with its results."""
        words = [info_name or "backbeam", *args]
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[COMMAND] = words
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named; it can be told to stop."""
        with stopping():
            return super().invoke(ctx)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:
        """Run; what a user can have caused ends in one line on stderr and exit code 2."""
        extra["standalone_mode"] = False
        try:
            with saying_warnings() as extra["obj"]:
                code = super().main(args, prog_name or "backbeam", **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            code = 0
        except click.UsageError as error:
            where = f"; see {error.ctx.command_path} --help" if error.ctx is not None else ""
            fail(f"{error.format_message().rstrip('.')}{where}")
        except click.ClickException as error:
            fail(error.format_message())
        except BackbeamError as error:
            fail(str(error))
        except MemoryError as error:
            said = " ".join(str(error).split())
            fail(f"not enough memory{f': {said}' if said else ''}; fewer particles or nodes, or float32, take less")
        except OSError as error:  # a name that is too long, a disk that is full
            where = f"{str(error.filename)[:100]}: " if error.filename else ""
            fail(f"{where}{(error.strerror or str(error)).lower()}")
        except Interrupted as stopped:
            click.echo(f"backbeam: {stopped}", err=True)
            code = stopped.code
        except click.Abort:
            click.echo("backbeam: interrupted", err=True)
            code = 130
        sys.exit(code if isinstance(code, int) else 0)


def fail(message: str) -> NoReturn:
    """Say in one line what is wrong, and leave with exit code 2."""
    click.echo(f"backbeam: error: {' '.join(message.split())}", err=True)
    sys.exit(2)


@click.group("backbeam", cls=App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="backbeam", prog_name="backbeam", message="%(prog)s %(version)s")
def app() -> None:
    """Track charged-particle beams through accelerator lattices with 3D space charge."""
