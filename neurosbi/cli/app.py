"""The ``neurosbi`` program: collects the verbs and turns errors into sentences and exit codes."""

__all__ = ["main"]

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer

from neurosbi import __version__
from neurosbi.cli.defects import describe_defect
from neurosbi.errors import InterruptedRunError, NeuroSBIError

_VERBS = ("fit", "check", "inspect", "simulators", "simulate", "train", "report", "doctor")

# where no step has said it more exactly
_STOPPED = "stopped; finished simulations, trainings and chains are kept for the same command"

# words of the validating library, that mean nothing to who typed an option
_OF_VALIDATORS = {"Value error, ": "", "Input should": "it should"}

# typer may ship its own copy of click: this is the class it really raises
_UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="neurosbi",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=(
        "From a recording to a posterior over mechanistic models.\n\n"
        "Start with [bold]neurosbi inspect FILE[/bold] to see what a recording holds, then "
        "[bold]neurosbi fit FILE[/bold]. Every verb explains itself with --help."
    ),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"neurosbi {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the Python traceback of an error."),
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Options that come before the verb."""


def _help(verb: Callable[..., None]) -> str:
    """The docstring with a line for each paragraph, since typer keeps its line breaks.

    Lists and what is indented (examples) keep theirs.
    """
    paragraphs = inspect.cleandoc(verb.__doc__ or "").split("\n\n")
    as_written = [any(s.startswith((" ", "- ")) for s in p.splitlines()) for p in paragraphs]
    return "\n\n".join(
        p if keep else " ".join(p.split()) for p, keep in zip(paragraphs, as_written, strict=True)
    )


for _verb in _VERBS:
    _module = import_module(f"neurosbi.cli.{_verb}")
    _function = getattr(_module, _verb)
    app.command(
        name=_verb,
        help=_help(_function),
        no_args_is_help=getattr(_module, "NEEDS_ARGUMENTS", False),
    )(_function)


def main(arguments: list[str] | None = None) -> None:
    """Run the program and end the process: 0 ok, 1 failed, 2 bad input, 3 environment, 130 stopped."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    try:
        code = app(args=arguments, standalone_mode=False, prog_name="neurosbi")
        if code == InterruptedRunError.exit_code:  # typer makes this of Ctrl-C, without a word
            code = _complain(_STOPPED, code)
    except NeuroSBIError as error:
        if debug:
            raise
        code = _complain(str(error), error.exit_code)
    except typer.Exit as stop:
        code = stop.exit_code
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "neurosbi"
        said = error.format_message().strip()  # nothing where the help was shown instead
        for word, better in _OF_VALIDATORS.items():
            said = said.replace(word, better)
        code = _complain(f"{said.rstrip('.')}. See: {command} --help", 2) if said else 2
    except (KeyboardInterrupt, typer.Abort):
        code = _complain(_STOPPED, InterruptedRunError.exit_code)
    except Exception as error:  # a defect: say what to send us instead of a page of traceback
        if debug:
            raise
        code = _complain(describe_defect(error), 1)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(sentence: str, code: int) -> int:
    print(f"neurosbi: {sentence}", file=sys.stderr)
    return code
