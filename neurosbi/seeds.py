"""Counter-based random numbers: row ``i`` of a stream is the same whatever batch it is drawn in.

Philox4x64 (Salmon et al. 2011, doi:10.1145/2063384.2063405) is keyed by (seed, purpose) and its
counter is the row index, so a worker that starts at row 40,000 draws what a single process would.
"""

__all__ = ["derive_seed", "uniform_rows"]

import hashlib

import numpy as np

_WORDS_PER_COUNT = 4  # one Philox count yields four 64-bit words


def derive_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for ``purpose``, independent of the ones for other purposes."""
    digest = hashlib.blake2b(f"{int(seed)}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def uniform_rows(n: int, width: int, *, seed: int, purpose: str, start: int = 0) -> np.ndarray:
    """Uniform numbers in [0, 1): rows ``start .. start+n`` of the stream, float64 [n, width]."""
    counts_per_row = max(1, -(-width // _WORDS_PER_COUNT))
    bits = np.random.Philox(key=derive_seed(seed, purpose))
    bits.advance(start * counts_per_row)
    rows = np.random.Generator(bits).random((n, counts_per_row * _WORDS_PER_COUNT))
    return rows[:, :width]
