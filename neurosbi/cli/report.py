"""``neurosbi report``: draw the report of a stored result anew."""

__all__ = ["report"]

from pathlib import Path
from typing import Annotated

import typer

NEEDS_ARGUMENTS = True


def report(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT_FOLDER", help="A folder that neurosbi fit wrote.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the report to this file instead."),
    ] = None,
) -> None:
    """Rebuild report and figures from stored results.

    Without -o they are replaced in RESULT_FOLDER; with -o only the report is written, to that
    file. Nothing is simulated or fitted again.

    Example: neurosbi report neurosbi-results/cell/hodgkin-huxley-npe -o cell.html
    """
    from neurosbi.errors import BadInputError
    from neurosbi.steps.result_folder import open_result, rebuild_report

    if output is None:
        path = rebuild_report(result)
    else:
        if output.is_dir():
            raise BadInputError(f"{output} is a folder: give the name of an HTML file with -o")
        path = open_result(result).report(output)
    typer.echo(str(path))
