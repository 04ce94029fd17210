"""One simulation of a network from its seed: the spikes of the recorded neurons."""

__all__ = ["Spikes", "run"]

from dataclasses import dataclass

import numpy as np

from neurosbi_simulators.spiking import advance as kernels
from neurosbi_simulators.spiking.connectivity import connect
from neurosbi_simulators.spiking.network import SpikingNetwork, discretise

_ROOM = 1 << 16  # spikes handed over at a time


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of the recorded units in order of time, float64 ``time`` in ms and int32 ``unit``.

    A time is the middle of the step in which the neuron spiked, counted from the start of the
    simulation. Units are numbered through the populations. ``n_spikes`` and ``n_events`` (spikes
    times connections) are those of the whole network and time; ``finite``: no potential blew up.
    """

    time: np.ndarray
    unit: np.ndarray
    n_spikes: int
    n_events: int
    finite: bool


def run(
    network: SpikingNetwork,
    *,
    dt: float,
    onset: float,
    total: float,
    recorded: tuple[int, ...],
    connection_keys: np.ndarray,
    neuron_keys: np.ndarray,
) -> Spikes:
    """Simulate ``total`` ms; spikes count from ``onset`` ms.

    ``recorded`` are the numbers of neurons of each population whose spikes are seen (the first
    ones; connections are random, so any are a random sample). Keys are uint32 [2].
    """
    d = discretise(network, dt)
    n = network.n_neurons
    offsets, targets = connect(network, connection_keys)
    state = np.empty((kernels.N_OWN_ROWS + len(d.kind_decay), n), dtype=np.float32)
    keys = np.empty((2, n), dtype=np.uint32)
    kernels.initialise(d.starts, d.table, neuron_keys, keys, state)
    hold = np.zeros(n, dtype=np.int32)
    n_drawn = np.zeros(n, dtype=np.uint32)
    fired = np.zeros(-(-n // 8) * 8, dtype=np.uint8)
    slots = int(d.delay.max()) + 2
    ring = np.empty((slots, n), dtype=np.int32)
    ring_bounds = np.zeros((slots, len(network.size) + 1), dtype=np.int64)
    until = d.starts[:-1] + np.array(recorded, dtype=np.int64)
    room = max(_ROOM, 2 * n)
    out_step, out_neuron = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    totals = np.zeros(2, dtype=np.int64)
    steps, first = round(total / dt), round(onset / dt)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    step = 0
    while step < steps:
        step, written = kernels.advance(
            step, steps, first, d.starts, d.table, d.weight, d.kappa, d.kind_decay, d.kind, d.hold,
            d.delay, d.escape, d.everyone, offsets, targets, keys, state, hold, n_drawn, fired,
            fired.view(np.uint64), ring, ring_bounds, until, out_step, out_neuron, totals,
        )  # fmt: skip
        found.append((out_step[:written].copy(), out_neuron[:written].copy()))
    at = np.concatenate([f[0] for f in found])
    neuron = np.concatenate([f[1] for f in found])
    population = np.searchsorted(d.starts, neuron, side="right") - 1
    skipped = np.cumsum([0, *(size - r for size, r in zip(network.size, recorded, strict=True))])
    return Spikes(
        time=(at + 0.5) * dt,
        unit=(neuron - skipped[population]).astype(np.int32),
        n_spikes=int(totals[kernels.SPIKES]),
        n_events=int(totals[kernels.EVENTS]),
        finite=bool(np.isfinite(state).all()),
    )
