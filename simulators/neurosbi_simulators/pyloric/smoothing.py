"""The Savitzky-Golay filter as a matrix.

References: A. Savitzky, M. J. E. Golay, Anal. Chem. 1964, doi:10.1021/ac60214a047.
"""

__all__ = ["hat_matrix"]

import numpy as np

ORDER = 3
WINDOW = 0.5  # ms


def hat_matrix(dt: float) -> np.ndarray:
    """Row k gives the cubic fit at sample k of a window of about 0.5 ms, [width, width].

    The width is odd. The middle row smooths; the others serve both ends of a trace.
    """
    width = int(WINDOW / dt + 1e-9) // 2 * 2 + 1
    position = np.linspace(-1.0, 1.0, width)
    basis, _ = np.linalg.qr(np.vander(position, ORDER + 1))
    return basis @ basis.T
