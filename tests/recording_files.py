"""Recording files with known content, written into a temporary folder, and the shipped ones."""

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

DATA = Path(__file__).parents[1] / "data"
ALLEN = DATA / "allen_cell_types" / "specimen_509881736" / "ephys.nwb"
LANTYER = DATA / "current_clamp" / "LantyerEtAl2018_180817_ME_9_CC.nwb"
TWO_STEPS = DATA / "current_clamp" / "171116sh_0018.abf"
FAST_SPIKING = DATA / "current_clamp" / "2019_07_24_0055_fsi.abf"


def step_current(amplitude, *, dt=0.05, total=400.0, onset=100.0, offset=300.0, holding=0.0):
    t = np.arange(round(total / dt)) * dt
    return holding + amplitude * ((t >= onset - 1e-9) & (t < offset - 1e-9))


def passive_voltage(current, *, dt=0.05, resistance=100.0, tau=15.0, rest=-70.0, noise=0.1, seed=0):
    """Exact response of R and C to a current constant over each step, plus white noise (mV)."""
    decay = np.exp(-dt / tau)
    v = np.empty(len(current))
    deflection = resistance * current[0] * 1e-3
    for i, pa in enumerate(current):
        v[i] = rest + deflection
        deflection = deflection * decay + (1 - decay) * resistance * pa * 1e-3
    return v + noise * np.random.default_rng(seed).standard_normal(len(v))


def with_spikes(voltage, times, *, dt=0.05):
    """Add 1 ms triangles up to +30 mV at ``times`` (ms)."""
    v = voltage.copy()
    half = round(0.5 / dt)
    for time in times:
        at = round(time / dt)
        shape = 1 - np.abs(np.arange(-half, half + 1)) / (half + 1)
        v[at - half : at + half + 1] += shape * (30 - v[at])
    return v


def write_nwb2(
    path, sweeps, *, table=False, rate=20000.0, numbered=True, kind="current", **options
):
    """NWB 2 with (voltage mV, current pA or None) per sweep.

    ``conversion``, ``offset`` and ``scale`` change how the numbers are stored: stored =
    (SI value * scale - offset) / conversion. ``rate`` is one for all sweeps or one for each.
    """
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.icephys import (
        CurrentClampSeries,
        CurrentClampStimulusSeries,
        VoltageClampSeries,
        VoltageClampStimulusSeries,
    )

    conversion, offset = options.get("conversion", 1.0), options.get("offset", 0.0)
    scale = options.get("scale", 1.0)
    names = options.get("names") or [(f"response {i}", f"stimulus {i}") for i in range(len(sweeps))]
    nwb = NWBFile("steps", "test", datetime(2020, 1, 1, tzinfo=UTC))
    electrode = nwb.create_icephys_electrode(
        name="e0", description="glass", device=nwb.create_device(name="amplifier"), location="V1"
    )
    response, stimulus = (
        (CurrentClampSeries, CurrentClampStimulusSeries)
        if kind == "current"
        else (VoltageClampSeries, VoltageClampStimulusSeries)
    )
    rates = np.broadcast_to(rate, len(sweeps)).tolist()
    stimuli = []
    for i, (mv, pa) in enumerate(sweeps):
        number = {"sweep_number": np.uint64(3 * i + 2)} if numbered else {}
        common = {
            "electrode": electrode,
            "gain": 1.0,
            "rate": rates[i],
            "starting_time": 2.0 * i,
            **number,
        }
        first, second = (mv, pa) if kind == "current" else (pa, mv)
        units = (1e-3, 1e-12) if kind == "current" else (1e-12, 1e-3)
        made = response(
            name=names[i][0],
            data=(np.asarray(first) * units[0] * scale - offset) / conversion,
            conversion=conversion,
            offset=offset,
            **common,
        )
        nwb.add_acquisition(made, use_sweep_table=False)
        command = None
        if second is not None:
            command = stimulus(
                name=names[i][1], data=np.asarray(second) * units[1] * scale, **common
            )
            stimuli.append(command)
        if table:
            nwb.add_intracellular_recording(electrode=electrode, stimulus=command, response=made)
    for command in [] if table else reversed(stimuli):  # their order in the file must not matter
        nwb.add_stimulus(command, use_sweep_table=False)
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    return path


def write_nwb1(
    path, sweeps, *, rate=50000.0, version="1.0", conversion=1.0, allen=True, clamp="Current"
):
    """NWB 1 with ``{number: (volts, amperes)}``; MIES names and no Allen fields if not ``allen``."""
    with h5py.File(path, "w") as h5:
        h5["nwb_version"] = np.bytes_(b"NWB-1.0.5")
        if allen:
            h5["general/aibs_specimen_id"] = np.bytes_(b"777")
            h5["general/generated_by"] = np.array(
                [b"pipeline", b"IVSCC", b"version", version.encode()]
            )
        for number, (volts, amperes) in sweeps.items():
            for where, values, unit, kind in (
                ("acquisition/timeseries", volts, "V", f"{clamp}ClampSeries"),
                ("stimulus/presentation", amperes, "A", f"{clamp}ClampStimulusSeries"),
            ):
                acquired = where.startswith("acq")
                name = (
                    f"Sweep_{number}"
                    if allen
                    else f"data_{number:05d}_{'AD' if acquired else 'DA'}0"
                )
                group = h5.create_group(f"{where}/{name}")
                group.attrs["ancestry"] = np.array(
                    [b"TimeSeries", b"PatchClampSeries", kind.encode()]
                )
                group["data"] = np.asarray(values)
                group["data"].attrs["unit"] = np.bytes_(unit.encode())
                group["data"].attrs["conversion"] = conversion
                group["starting_time"] = 0.0
                group["starting_time"].attrs["rate"] = rate
                group["electrode_name"] = np.bytes_(b"electrode_0")
    return path
