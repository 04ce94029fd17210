"""Open a recording whatever its format: the content decides, not the name of the file."""

__all__ = ["demo_recording", "read_data", "read_recording"]

import math
from pathlib import Path

from neurosbi.contract import Recorded, Recording
from neurosbi.errors import BadInputError, one_line

_HDF5 = b"\x89HDF\r\n\x1a\n"
_KNOWN_ELSEWHERE = {  # what people try, and what to do instead
    ".mat": "a MATLAB file",
    ".ibw": "an Igor binary wave",
    ".pxp": "an Igor experiment",
    ".dat": "a HEKA PatchMaster file",
    ".smr": "a Spike2 file",
    ".smrx": "a Spike2 file",
    ".txt": "a text table",
    ".npz": "a NumPy archive",
    ".pkl": "a Python pickle",
}
_READABLE = (
    "neurosbi reads NWB (1.0, 2.x) and ABF files, and tables of spikes (unit,time_ms,population) "
    "or features (feature,value) whose names end in .csv"
)


def read_data(path: str | Path, *, junction_potential: float = 0.0) -> Recorded:
    """Read whatever can be fitted: sweeps, spike trains or a table of features.

    NWB and ABF files with intracellular sweeps give a `Recording` (see `read_recording`), NWB files
    with sorted units and CSV tables of spikes `SpikeTrains`, CSV tables of features a
    `FeatureTable` (see `neurosbi.recordings.tables`).

    Raises `BadInputError` as `read_recording`, and for a ``junction_potential`` where there is no
    voltage.
    """
    path = Path(path)
    data: Recorded
    if path.suffix.lower() == ".csv" and path.is_file():
        from neurosbi.recordings.tables import read_table

        data = read_table(path)
    elif _holds_units(path):
        from neurosbi.recordings.units import read_units

        data = read_units(path)
    else:
        return read_recording(path, junction_potential=junction_potential)
    if junction_potential:
        raise BadInputError(
            f"{path.name} holds no membrane voltage, so there is nothing to correct; leave the "
            "junction potential out"
        )
    return data


def read_recording(path: str | Path, *, junction_potential: float = 0.0) -> Recording:
    """Read an NWB (1.0 or 2.x) or ABF file as a `Recording` in mV, pA and ms.

    ``junction_potential`` in mV is added to every voltage. It is usually negative: the Allen
    Institute documents -14 mV for its solutions, and does not apply it to its files. Default: 0,
    voltages as stored.

    Raises `BadInputError` for a file that is missing, damaged, of another format, without
    patch-clamp sweeps, or with units that cannot be right.
    """
    path = Path(path)
    if not math.isfinite(junction_potential) or abs(junction_potential) > 100:
        raise BadInputError(
            f"a junction potential of {junction_potential} mV is not possible; typical values lie "
            "between -16 and 5 mV"
        )
    head = _head(path)

    from neurosbi.recordings.abf import is_abf, read_abf

    if is_abf(head):
        return read_abf(path, junction_potential=junction_potential)
    if head.startswith(b"version https://git-lfs"):
        raise BadInputError(f"{path} is a Git LFS pointer, not the data; run: git lfs pull")
    if not head.startswith(_HDF5):
        if path.suffix.lower() == ".csv":
            raise BadInputError(
                f"{path} is a text table and has no sweeps; read it with neurosbi.read_data"
            )
        kind = _KNOWN_ELSEWHERE.get(path.suffix.lower(), "neither NWB nor ABF")
        raise BadInputError(
            f"{path} is {kind}; {_READABLE}, so convert it, for example to NWB with NeuroConv"
        )
    if _is_nwb_1(path):
        from neurosbi.recordings.allen import read_allen

        return read_allen(path, junction_potential=junction_potential)
    from neurosbi.recordings.nwb import read_nwb

    return read_nwb(path, junction_potential=junction_potential)


def _head(path: Path) -> bytes:
    """The first bytes of a file; raises `BadInputError` where there is none."""
    if path.is_dir():
        raise BadInputError(f"{path} is a folder; give one recording file (NWB or ABF) in it")
    if not path.is_file():
        raise BadInputError(f"there is no file {path}; check the path")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise BadInputError(f"{path} cannot be opened: {error.strerror}") from error
    if not head:
        raise BadInputError(f"{path} is empty (0 bytes); copy or download it again")
    return head


def _holds_units(path: Path) -> bool:
    """Whether this is an NWB 2 file with sorted units and no intracellular sweeps."""
    from neurosbi.recordings.units import has_units_only

    if not path.is_file() or not _head(path).startswith(_HDF5):
        return False
    try:
        return has_units_only(path)
    except OSError:
        return False  # `read_recording` says what is wrong with it


def demo_recording() -> Path:
    """A real recording that comes with the package: current steps, -100 to 290 pA, ABF.

    File 18713001.abf of the pyABF project (MIT licence); it does not name the cell's type.
    """
    return Path(__file__).parent / "demo" / "18713001.abf"


def _is_nwb_1(path: Path) -> bool:
    """True for NWB 1, False for NWB 2; raises `BadInputError` for other or damaged HDF5 files."""
    import h5py

    try:
        with h5py.File(path, "r") as h5:
            if "nwb_version" in h5.attrs:
                return str(h5.attrs["nwb_version"]).removeprefix("NWB-").startswith("1")
            if "nwb_version" in h5:
                return True
            found = ", ".join(sorted(h5)[:5])
    except OSError as error:
        raise BadInputError(
            f"{path} is a damaged or incomplete HDF5 file ({one_line(error)}); "
            "copy or download it again"
        ) from error
    raise BadInputError(
        f"{path} is an HDF5 file but not NWB (it has no nwb_version; it holds {found or 'nothing'}); "
        f"{_READABLE}"
    )
