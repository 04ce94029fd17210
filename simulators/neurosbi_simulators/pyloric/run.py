"""How a call becomes blocks: arrays in lanes, threads over blocks, results by simulation."""

__all__ = ["Circuit", "Run", "measure", "simulate"]

import os
from dataclasses import dataclass

import numpy as np

from neurosbi.cores import in_threads
from neurosbi.errors import BadInputError
from neurosbi.seeds import derive_seed
from neurosbi_simulators.numerics.gaussian import lane_keys
from neurosbi_simulators.pyloric.block import measure_block, simulate_block
from neurosbi_simulators.pyloric.bursts import BURST_GAP, ENERGY, N_STATE_ROWS, SHORTEST_BURST
from neurosbi_simulators.pyloric.circuit import gate_speeds, kernel_rows
from neurosbi_simulators.pyloric.integrate import CAPACITANCE
from neurosbi_simulators.pyloric.layout import LANES, N_CELLS
from neurosbi_simulators.pyloric.rates import part_table, rate_table
from neurosbi_simulators.pyloric.rhythm import N_RHYTHM_ROWS
from neurosbi_simulators.pyloric.smoothing import hat_matrix
from neurosbi_simulators.pyloric.streaming import N_MOMENT_ROWS, ring_of

_NOISE_DT = 0.025  # ms, the step at which the noise current is given


@dataclass(frozen=True, eq=False)
class Circuit:
    """``conductances[sim, 31]``, ``q10[sim, 15]`` and ``temperature[sim]`` in degC.

    ``equally_warm``: all have the same Q10s and temperature, so that one table serves them all.
    """

    conductances: np.ndarray
    q10: np.ndarray
    temperature: np.ndarray
    equally_warm: bool


class Run:
    """What the kernel accumulated, by simulation.

    ``states[sim, cell, row]``, ``moments[sim, cell, power]``, ``rhythm[sim, row]`` and
    ``alive[sim]`` over ``samples`` of ``dt`` ms; ``traces`` [2, sim, time, cell], voltage and
    power, where asked for.
    """

    def __init__(self, n: int, *, samples: int, dt: float) -> None:
        self.n, self.samples, self.dt = n, samples, dt
        self.n_blocks = -(-n // LANES)
        shape = (self.n_blocks, N_CELLS)
        self._states = np.empty((*shape, N_STATE_ROWS, LANES))
        self._moments = np.empty((*shape, N_MOMENT_ROWS, LANES))
        self._rhythm = np.empty((self.n_blocks, LANES, N_RHYTHM_ROWS))
        self._alive = np.empty((self.n_blocks, LANES), dtype=np.bool_)
        self.traces = np.empty((2, n, 0, N_CELLS))

    def outputs(self, block: int) -> tuple[np.ndarray, ...]:
        """Bursts, states, moments, rhythm and alive of one block, for the kernel."""
        most = int(self.samples * self.dt / (BURST_GAP + SHORTEST_BURST)) + 2
        return (
            np.empty((LANES, N_CELLS, most, 2)),
            self._states[block],
            self._moments[block],
            self._rhythm[block],
            self._alive[block],
        )

    @property
    def states(self) -> np.ndarray:
        """[sim, cell, row]"""
        return self._by_simulation(self._states)

    @property
    def moments(self) -> np.ndarray:
        """[sim, cell, power]"""
        return self._by_simulation(self._moments)

    @property
    def rhythm(self) -> np.ndarray:
        """[sim, row]"""
        return self._rhythm.reshape(-1, N_RHYTHM_ROWS)[: self.n]

    @property
    def alive(self) -> np.ndarray:
        """bool [sim]: no blow-up."""
        return self._alive.reshape(-1)[: self.n]

    def _by_simulation(self, blocks: np.ndarray) -> np.ndarray:
        return np.moveaxis(blocks, -1, 1).reshape(-1, *blocks.shape[1:3])[: self.n]


def simulate(
    circuit: Circuit,
    *,
    window: tuple[int, int],
    dt: float,
    noise: float,
    real: type,
    seed: int,
    start: int,
    threads: int | None = None,
    stride: int = 0,
) -> Run:
    """Networks from step 0 to ``window[1]``, of which features see those from ``window[0]``.

    ``noise`` is the sd of the noise current in uA at a step of 0.025 ms; with ``stride`` every
    stride-th step is kept as ``traces``.
    """
    onset, steps = window
    n = len(circuit.conductances)
    run = Run(n, samples=steps - onset, dt=dt)
    samples = -(-steps // stride) if stride else 0
    _check_memory(2 * run.n_blocks * LANES * N_CELLS * samples * np.dtype(real).itemsize)
    traces = np.empty((2, run.n_blocks * LANES, N_CELLS, samples), dtype=real)
    if circuit.equally_warm and n:
        first = gate_speeds(circuit.q10[:1], circuit.temperature[:1])[0]
        table, speed = part_table(dt, first, real), np.empty((n, 0))
    else:
        table, speed = rate_table(dt, real), gate_speeds(circuit.q10, circuit.temperature)
    hat = hat_matrix(dt).astype(real)
    ring = ring_of(hat, dt)
    sd = real(noise * np.sqrt(_NOISE_DT / dt) / CAPACITANCE)
    noise_seed = derive_seed(seed, "membrane noise")

    def one(block: int) -> None:
        lanes = np.minimum(block * LANES + np.arange(LANES), n - 1)
        q10, temperature = circuit.q10[lanes], circuit.temperature[lanes]
        rows = kernel_rows(circuit.conductances[lanes], q10, temperature, dt)
        mine = slice(block * LANES, (block + 1) * LANES)
        simulate_block(
            np.ascontiguousarray(rows, dtype=real),
            np.ascontiguousarray(speed[lanes], dtype=real).ravel(),
            table.ravel(),
            np.ascontiguousarray(lane_keys(noise_seed, start + lanes).T),
            sd,
            steps,
            onset,
            dt,
            hat,
            ring,
            max(stride, 1),
            traces[:, mine],
            *run.outputs(block),
        )

    in_threads(one, range(run.n_blocks), threads)
    if stride:
        run.traces = traces[:, :n].swapaxes(2, 3)
    return run


def measure(v: np.ndarray, power: np.ndarray | None, *, dt: float, onset: int) -> Run:
    """What `simulate` accumulates, of given traces ``v[sim, time, cell]`` in mV.

    ``power`` likewise, over the capacitance; None leaves energies undefined.
    """
    real = np.float32 if v.dtype == np.float32 else np.float64
    hat = hat_matrix(dt).astype(real)
    n, steps, _ = v.shape
    if steps - onset < len(hat):
        raise BadInputError(
            f"pyloric: the traces have {max(steps - onset, 0)} samples behind their onset, at "
            f"least {len(hat)} are needed"
        )
    run = Run(n, samples=steps - onset, dt=dt)
    ring = ring_of(hat, dt)

    def one(block: int) -> None:
        lanes = np.minimum(block * LANES + np.arange(LANES), n - 1)
        traces = np.zeros((2, LANES, N_CELLS, steps), dtype=real)
        traces[0] = v[lanes].swapaxes(1, 2)
        if power is not None:
            traces[1] = power[lanes, :steps].swapaxes(1, 2)
        measure_block(traces, onset, dt, hat, ring, *run.outputs(block))

    in_threads(one, range(run.n_blocks), None)
    if power is None:
        run._states[:, :, ENERGY] = np.nan
    return run


def _check_memory(needed: int) -> None:
    if not hasattr(os, "sysconf"):
        return
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise BadInputError(
            f"pyloric: these traces take {needed / 1e9:.0f} GB, this machine has {there / 1e9:.0f} "
            "GB of memory; ask for fewer simulations or a larger stride"
        )
