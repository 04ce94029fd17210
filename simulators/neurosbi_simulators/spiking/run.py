"""One simulation of a network from its seed: the spikes of the recorded neurons."""

__all__ = ["NetworkRun", "Spikes", "run"]

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


class NetworkRun:
    """A simulation that goes on in pieces: `advance` it, look at ``state``, advance again.

    ``state[row, neuron]`` has the rows of `advance`; ``recorded`` are the numbers of neurons of
    each population whose spikes are seen (the first ones; connections are random, so any are a
    random sample). Keys are uint32 [2].
    """

    def __init__(
        self,
        network: SpikingNetwork,
        *,
        dt: float,
        recorded: tuple[int, ...],
        connection_keys: np.ndarray,
        neuron_keys: np.ndarray,
    ) -> None:
        self.network, self.dt, self.recorded = network, dt, recorded
        self.step = 0
        self.totals = np.zeros(2, dtype=np.int64)
        self._d = d = discretise(network, dt)
        n = network.n_neurons
        self._connections = connect(network, connection_keys)
        self.state = np.empty((kernels.N_OWN_ROWS + len(d.kind_decay), n), dtype=np.float32)
        self._keys = np.empty((2, n), dtype=np.uint32)
        kernels.initialise(d.starts, d.table, neuron_keys, self._keys, self.state)
        self.hold = np.zeros(n, dtype=np.int32)
        self._n_drawn = np.zeros(n, dtype=np.uint32)
        self._fired = np.zeros(-(-n // 8) * 8, dtype=np.uint8)
        slots = int(d.delay.max()) + 2
        self._ring = np.empty((slots, n), dtype=np.int32)
        self._ring_bounds = np.zeros((slots, len(network.size) + 1), dtype=np.int64)
        room = max(_ROOM, 2 * n)
        self._out = np.empty((2, room), dtype=np.int32)

    def advance(self, step: int, *, counted_from: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Go on to ``step``; the steps and neurons [spike] of spikes from ``counted_from`` on."""
        d = self._d
        until = d.starts[:-1] + np.array(self.recorded, dtype=np.int64)
        found = [np.empty((2, 0), dtype=np.int32)]
        while self.step < step:
            self.step, written = kernels.advance(
                self.step, step, counted_from, d.starts, d.table, d.weight, d.kappa, d.kind_decay,
                d.kind, d.hold, d.delay, d.escape, d.everyone, *self._connections, self._keys,
                self.state, self.hold, self._n_drawn, self._fired, self._fired.view(np.uint64),
                self._ring, self._ring_bounds, until, *self._out, self.totals,
            )  # fmt: skip
            found.append(self._out[:, :written].copy())
        at, neuron = np.concatenate(found, axis=1)
        return at, neuron


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
    """Simulate ``total`` ms; spikes count from ``onset`` ms. See `NetworkRun` for the rest."""
    going = NetworkRun(
        network,
        dt=dt,
        recorded=recorded,
        connection_keys=connection_keys,
        neuron_keys=neuron_keys,
    )
    at, neuron = going.advance(round(total / dt), counted_from=round(onset / dt))
    population = np.searchsorted(network.starts, neuron, side="right") - 1
    skipped = np.cumsum([0, *(size - r for size, r in zip(network.size, recorded, strict=True))])
    return Spikes(
        time=(at + 0.5) * dt,
        unit=(neuron - skipped[population]).astype(np.int32),
        n_spikes=int(going.totals[kernels.SPIKES]),
        n_events=int(going.totals[kernels.EVENTS]),
        finite=bool(np.isfinite(going.state).all()),
    )
