"""Random connections: every pair of neurons with the probability of its two populations.

The targets of neuron j in population a are found by the gaps between them, which are geometric:
floor(log(1 - U) / log(1 - p)). The cost goes with the number of connections, not of pairs. Row
(j, a) has its own keys, so its targets depend on the seed and the simulation alone. A neuron may
connect to itself, as in the mean-field limit.

Rows are kept one after the other (compressed sparse rows, by presynaptic neuron): the targets of
row r = j M + a of M populations are ``targets[offsets[r] : offsets[r + 1]]``, ascending.
"""

__all__ = ["connect", "connection_bytes", "target_type"]

import numpy as np

from neurosbi.errors import FitError
from neurosbi_simulators.numerics import entry, kernel
from neurosbi_simulators.numerics.counter import mix, unit
from neurosbi_simulators.numerics.logarithm import log
from neurosbi_simulators.spiking.network import SpikingNetwork

_TOGETHER = 64  # gaps drawn side by side


def connect(network: SpikingNetwork, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``offsets`` int64 [row + 1] and ``targets`` [connection] of one simulation.

    ``keys`` uint32 [2]. Both are empty for networks that join everyone.
    """
    kind = target_type(network)
    n = network.n_neurons
    if network.everyone:
        return np.zeros(1, dtype=np.int64), np.empty(0, dtype=kind)
    offsets = np.empty(n * len(network.size) + 1, dtype=np.int64)
    targets = np.empty(_capacity(network), dtype=kind)
    used = draw_rows(
        network.starts, np.ascontiguousarray(network.p, np.float64), keys, offsets, targets
    )
    if used < 0:
        raise FitError("a network drew more connections than its probabilities allow")
    return offsets, targets[:used]


def target_type(network: SpikingNetwork) -> type:
    """The smallest integer that holds the number of every neuron."""
    return np.uint16 if network.n_neurons <= 1 << 16 else np.uint32


def connection_bytes(network: SpikingNetwork) -> int:
    """Memory that the connections of one simulation take."""
    if network.everyone:
        return 0
    rows = network.n_neurons * len(network.size)
    return _capacity(network) * np.dtype(target_type(network)).itemsize + 8 * rows


def _capacity(network: SpikingNetwork) -> int:
    """Room for the connections: their expected number and ten standard deviations."""
    size = np.array(network.size, dtype=np.float64)
    expected = float(np.sum(np.multiply.outer(size, size) * network.p))
    return int(expected + 10 * np.sqrt(expected) + max(network.size))


@kernel
def _gaps(gaps, first, inverse, key_a, key_b):
    """Geometric gaps number ``first`` and the following of one row."""
    one, many = np.float32(1.0), np.float32(2e9)
    for q in range(_TOGETHER):
        gap = log(one - unit(mix(np.uint32(first + np.uint32(q)), key_a, key_b))) * inverse
        gaps[q] = np.int32(gap if gap < many else many)


@entry
def draw_rows(starts, p, keys, offsets, targets):
    """Fill the rows of all neurons; the number of connections, or -1 where they do not fit."""
    n_populations = len(starts) - 1
    gaps = np.empty(_TOGETHER, dtype=np.int32)
    used = np.int64(0)
    offsets[0] = 0
    for b in range(n_populations):
        for j in range(starts[b], starts[b + 1]):
            for a in range(n_populations):
                low, high = starts[a], starts[a + 1]
                row = j * n_populations + a
                if used + high - low > len(targets):
                    return np.int64(-1)
                if p[a, b] >= 1.0:
                    for i in range(low, high):
                        targets[used] = i
                        used += 1
                elif p[a, b] > 0.0:
                    key_a = mix(np.uint32(2 * row), keys[0], keys[1])
                    key_b = mix(np.uint32(2 * row + 1), keys[0], keys[1])
                    inverse = np.float32(1.0 / np.log1p(-p[a, b]))
                    at = low - 1
                    first = np.uint32(0)
                    while at < high:
                        _gaps(gaps, first, inverse, key_a, key_b)
                        first = np.uint32(first + np.uint32(_TOGETHER))
                        for q in range(_TOGETHER):
                            at += np.int64(gaps[q]) + 1
                            if at >= high:
                                break
                            targets[used] = at
                            used += 1
                offsets[row + 1] = used
    return used
