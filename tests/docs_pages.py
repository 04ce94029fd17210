"""What a documentation page tells its reader to write: the files and commands in it."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
_FILE = re.compile(r"<!-- file: (?P<name>\S+) -->\n```\w+\n(?P<text>.*?)^```$", re.S | re.M)
_SHELL = re.compile(r"^```sh\n(?P<text>.*?)^```$", re.S | re.M)


def write_files(page: str, folder: Path) -> list[Path]:
    """Write every file of ``page`` (relative to docs/) into ``folder``."""
    text = (DOCS / page).read_text()
    written = []
    for match in _FILE.finditer(text):
        path = folder / match["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(match["text"])
        written.append(path)
    return written


def commands(page: str) -> list[str]:
    """The shell commands of ``page``, line by line."""
    text = (DOCS / page).read_text()
    lines = [line for m in _SHELL.finditer(text) for line in m["text"].splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.strip()]
