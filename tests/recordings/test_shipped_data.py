import hashlib
import json
import re
import subprocess
import sys

from recording_files import DATA

from neurosbi.recordings import demo_recording


def test_checksums():
    listed = dict(
        reversed(line.split("  "))
        for line in re.findall(r"^[0-9a-f]{64}  \S+$", (DATA / "README.md").read_text(), re.M)
    )
    for name, digest in listed.items():
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest, name
    there = {p.relative_to(DATA).as_posix() for p in DATA.rglob("*") if p.is_file()}
    assert {n for n in listed if not n.startswith("..")} == there - {"README.md"}
    assert any((DATA / n).resolve() == demo_recording().resolve() for n in listed)


def test_importing_recordings_is_cheap():
    code = (
        "import sys, json, neurosbi.recordings; "
        "print(json.dumps([m for m in ('pynwb','pyabf','h5py','scipy','torch','numba','matplotlib')"
        " if m in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
