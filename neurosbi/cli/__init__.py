"""The command line: one file per verb, heavy imports inside the commands so that help is fast."""

from neurosbi.cli.app import main

__all__ = ["main"]
