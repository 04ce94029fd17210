"""A compiled scalar loop for the pyloric network, one parameter set at a time: the peer of pyloric.

    python benchmarks/reference_pyloric.py [--quick]; prints one line of JSON

The published program is Cython around the C library's exp; this loop does the same work in the same
order in plain Numba and double precision, with noise, but neither energies nor features. It shares
no code with the simulator; tests/simulators/pyloric checks it.
"""

__all__ = ["integrate"]

import argparse
import json
import math
import time

import numba
import numpy as np

DT = 0.025  # ms
SIMULATED = 11_000.0  # ms
REPEATS = 3


@numba.njit(cache=True)
def sigmoid(v, a, b):
    return 1.0 / (1.0 + math.exp((v + a) / b))


@numba.njit(cache=True)
def integrate(theta, noise, dt, kelvin):
    """V in mV [time, cell] of ``theta`` (24 conductances in mS/cm2, 7 synapses in nS) at 283 K rates.

    ``noise`` [time, cell] in uA; that of sample i acts on the way to it. ``kelvin`` enters E_Ca
    alone.
    """
    post = (1, 1, 2, 2, 0, 2, 1)
    pre = (0, 0, 0, 0, 1, 1, 2)
    cholinergic = (False, True, False, True, False, False, False)
    n = len(noise)
    v = np.empty((n, 3))
    v[0] = -50.0
    ca = np.full(3, 0.05)
    m, h, s = np.zeros((3, 7)), np.zeros((3, 4)), np.zeros(7)
    g_max = theta[:24].copy().reshape((3, 8)) * 0.628e-3
    nernst = 8.31451e3 * kelvin / (2.0 * 96485.3415)
    g_syn, i_syn = np.zeros(3), np.zeros(3)
    for i in range(1, n):
        g_syn[:] = 0.0
        i_syn[:] = 0.0
        for k in range(7):
            strength = theta[24 + k] * 1e-6 * s[k]
            g_syn[post[k]] += strength
            i_syn[post[k]] += strength * (-80.0 if cholinergic[k] else -70.0)
        for k in range(7):
            x = v[i - 1, pre[k]]
            s_inf = 1.0 / (1.0 + math.exp((-35.0 - x) / 5.0))
            tau = (100.0 if cholinergic[k] else 40.0) * (1.0 - s_inf)
            s[k] = s_inf if dt > tau else s[k] + (s_inf - s[k]) * dt / tau
        for c in range(3):
            x = v[i - 1, c]
            g = g_max[c]
            na = g[0] * m[c, 0] ** 3 * h[c, 0]
            cat = g[1] * m[c, 1] ** 3 * h[c, 1]
            cas = g[2] * m[c, 2] ** 3 * h[c, 2]
            k_total = g[3] * m[c, 3] ** 3 * h[c, 3] + g[4] * m[c, 4] ** 4 + g[5] * m[c, 5] ** 4
            hyper, leak = g[6] * m[c, 6], g[7]
            e_ca = nernst * math.log(3000.0 / ca[c])
            open_kca = ca[c] / (ca[c] + 3.0)
            ca_inf = 0.05 - 14961.0 * (cat + cas) * (x - e_ca)
            ca[c] = ca_inf + (ca[c] - ca_inf) * math.exp(-dt / 200.0)
            total = na + cat + cas + k_total + hyper + leak + g_syn[c]
            drive = 50.0 * na + e_ca * (cat + cas) - 80.0 * k_total - 20.0 * hyper - 50.0 * leak
            drive += i_syn[c] + noise[i, c]
            if total == 0.0:
                v[i, c] = x + dt * drive / 0.6283e-3
            else:
                rest = drive / total
                v[i, c] = rest + (x - rest) * math.exp(-dt * total / 0.6283e-3)
            _gates(m[c], h[c], x, open_kca, dt)
    return v


@numba.njit(cache=True)
def _relax(gates, k, x_inf, tau, dt):
    gates[k] = x_inf + (gates[k] - x_inf) * math.exp(-dt / tau)


@numba.njit(cache=True)
def _gates(m, h, v, open_kca, dt):
    _relax(m, 0, sigmoid(v, 25.5, -5.29), 2.64 - 2.52 * sigmoid(v, 120.0, -25.0), dt)
    _relax(m, 1, sigmoid(v, 27.1, -7.2), 43.4 - 42.6 * sigmoid(v, 68.1, -20.5), dt)
    slow = 1.0 / (math.exp((v + 27.0) / 10.0) + math.exp((v + 70.0) / -13.0))
    _relax(m, 2, sigmoid(v, 33.0, -8.1), 2.8 + 14.0 * slow, dt)
    _relax(m, 3, sigmoid(v, 27.2, -8.7), 23.2 - 20.8 * sigmoid(v, 32.9, -15.2), dt)
    tau = 180.6 - 150.2 * sigmoid(v, 46.0, -22.7)
    _relax(m, 4, open_kca * sigmoid(v, 28.3, -12.6), tau, dt)
    _relax(m, 5, sigmoid(v, 12.3, -11.8), 14.4 - 12.8 * sigmoid(v, 28.3, -19.2), dt)
    tau = 2.0 / (math.exp(-14.59 - 0.086 * v) + math.exp(-1.87 + 0.0701 * v))
    _relax(m, 6, sigmoid(v, 75.0, 5.5), tau, dt)
    tau = 1.34 * sigmoid(v, 62.9, -10.0) * (1.5 + sigmoid(v, 34.9, 3.6))
    _relax(h, 0, sigmoid(v, 48.9, 5.18), tau, dt)
    _relax(h, 1, sigmoid(v, 32.1, 5.5), 210.0 - 179.6 * sigmoid(v, 55.0, -16.9), dt)
    slow = 1.0 / (math.exp((v + 55.0) / 9.0) + math.exp((v + 65.0) / -16.0))
    _relax(h, 2, sigmoid(v, 60.0, 6.2), 120.0 + 300.0 * slow, dt)
    _relax(h, 3, sigmoid(v, 56.9, 4.9), 77.2 - 58.4 * sigmoid(v, 38.9, -26.5), dt)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    simulated = SIMULATED / 10 if parser.parse_args().quick else SIMULATED
    import neurosbi as nb

    theta = nb.simulator("pyloric").sample_prior(REPEATS, seed=0)
    steps = round(simulated / DT)
    rng = np.random.RandomState(0)
    integrate(theta[0], np.zeros((10, 3)), DT, 283.0)  # compile
    taken = []
    for row in theta:
        began = time.process_time()
        integrate(row, rng.normal(scale=1e-3, size=(steps, 3)), DT, 283.0)
        taken.append(time.process_time() - began)
    print(
        json.dumps(
            {
                "system": "scalar loop, Numba",
                "work": "one network, with noise, no features",
                "dt": DT,
                "ns_per_step": min(taken) / steps * 1e9,
            }
        )
    )


if __name__ == "__main__":
    main()
