"""Axon Binary Format (pClamp, ABF 1 and 2), read with pyABF.

The voltage is the input channel in mV (or V). The current is the command of the amplifier, which
the file describes as epochs; where no command was set up but a current was recorded on another
input, the recorded one is taken.
"""

__all__ = ["is_abf", "read_abf"]

from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.contract import Recording
from neurosbi.errors import BadInputError, one_line
from neurosbi.recordings.assemble import RawSweep, assemble

PyABF = Any  # pyabf.ABF sets its attributes while reading: they have no useful types
_TO_MV = {"V": 1e3, "mV": 1.0, "uV": 1e-3, "µV": 1e-3}
_TO_PA = {"A": 1e12, "mA": 1e9, "uA": 1e6, "µA": 1e6, "nA": 1e3, "pA": 1.0, "fA": 1e-3}


def is_abf(head: bytes) -> bool:
    """Whether a file that starts with these bytes is an ABF file."""
    return head[:4] in (b"ABF ", b"ABF2")


def read_abf(path: Path, *, junction_potential: float = 0.0) -> Recording:
    """Read an ABF file; voltage in mV plus ``junction_potential``, current in pA.

    Raises `BadInputError` when the file is damaged or has no voltage or current channel.
    """
    import pyabf

    try:
        abf: PyABF = pyabf.ABF(str(path), loadData=True)
        _check_complete(abf)
        raw = _read_sweeps(abf, path)
    except BadInputError:
        raise
    except Exception as error:  # pyABF raises anything, from struct.error to bare Exception
        raise BadInputError(
            f"{path} is a damaged or unfinished ABF file ({one_line(error)}); copy it again "
            "from the rig"
        ) from error
    metadata = {
        "name": path.stem,
        "protocol": abf.protocol,
        "created_by": abf.creator,
        "abf_version": abf.abfVersionString,
        "recorded": str(abf.abfDateTimeString),
    }
    return assemble(
        path, raw, format="ABF", junction_potential=junction_potential, metadata=metadata
    )


def _check_complete(abf: PyABF) -> None:
    expected = abf.sweepCount * abf.sweepPointCount * abf.channelCount
    if abf.sweepCount < 1 or abf.data.size < expected or abf.sweepPointCount < 1:
        raise ValueError(f"{abf.data.size} of {expected} samples are there")


def _read_sweeps(abf: PyABF, path: Path) -> list[RawSweep]:
    adc = [str(unit).strip() for unit in abf.adcUnits]
    dac = [str(unit).strip() for unit in abf.dacUnits]
    volts = [c for c in range(abf.channelCount) if adc[c] in _TO_MV]
    amperes = [c for c in range(abf.channelCount) if adc[c] in _TO_PA]
    commands = [c for c in range(len(dac)) if dac[c] in _TO_PA]
    if _is_voltage_clamp(dac, volts, amperes):
        channel = amperes[0]
        return [
            _sweep(abf, s, voltage=None, current=(channel, _TO_PA[adc[channel]]), clamp="voltage")
            for s in abf.sweepList
        ]
    if not volts:
        raise BadInputError(
            f"{path} has no voltage channel: its inputs are in {', '.join(adc) or 'no unit'}; "
            "export the membrane potential in mV"
        )
    channel = volts[0]
    voltage = (channel, _TO_MV[adc[channel]])
    sweeps = []
    for number in abf.sweepList:
        current, missing = _command(abf, number, channel, commands, dac)
        if (current is None or np.ptp(current) == 0) and amperes:
            abf.setSweep(number, channel=amperes[0])
            current, missing = np.array(abf.sweepY) * _TO_PA[adc[amperes[0]]], ""
        sweeps.append(
            _sweep(abf, number, voltage=voltage, current=current, clamp="current", missing=missing)
        )
    return sweeps


def _is_voltage_clamp(dac: list[str], volts: list[int], amperes: list[int]) -> bool:
    """The first input is the amplifier's primary output: a current while the voltage is held."""
    if not amperes or (volts and volts[0] < amperes[0]):
        return False
    return amperes[0] >= len(dac) or dac[amperes[0]] not in _TO_PA or not volts


def _command(
    abf: PyABF, number: int, channel: int, commands: list[int], dac: list[str]
) -> tuple[np.ndarray | None, str]:
    """The command current in pA; the one of the voltage's own channel first."""
    if not commands:
        return None, f"no stimulus current: the command is in {', '.join(dac) or 'no unit'}, not pA"
    source = channel if channel in commands else commands[0]
    if source >= abf.channelCount:
        return None, "no stimulus current: the command belongs to a channel that was not recorded"
    abf.setSweep(number, channel=source)
    command = np.array(abf.sweepC, dtype=np.float64)
    if not np.all(np.isfinite(command)):
        return None, "the stimulus came from a waveform file that is not beside the recording"
    return command * _TO_PA[dac[source]], ""


def _sweep(
    abf: PyABF,
    number: int,
    *,
    voltage: tuple[int, float] | None,
    current: Any,
    clamp: Any,
    missing: str = "",
) -> RawSweep:
    def channel(which: tuple[int, float]) -> np.ndarray:
        abf.setSweep(number, channel=which[0])
        return np.array(abf.sweepY, dtype=np.float64) * which[1]

    return RawSweep(
        number=number,
        voltage=None if voltage is None else channel(voltage),
        current=channel(current) if isinstance(current, tuple) else current,
        rate=float(abf.dataRate),
        clamp=clamp,
        stimulus_name=str(abf.protocol or ""),
        missing=missing,
    )
