"""A compiled scalar loop for the mesoscopic model, one parameter set at a time: the peer of mesogif.

The published programs (C with GSL, and Theano for Python 3.6) do not run with current compilers
and libraries, so this loop stands for them: the same equations in the order in which the paper
prints them, a ring buffer per population, plain Numba in double precision. It shares no code with
`mesogif` and is checked against it by the benchmark (mesogif.py).

    python benchmarks/reference_mesogif.py [--quick]    its time alone, as a line of JSON
"""

__all__ = ["Reference"]

import argparse
import json
import math
import time
from dataclasses import dataclass

import numba
import numpy as np


@dataclass(frozen=True, eq=False)
class Reference:
    """Constants by name, [population] or [to, from]; times in ms, J_th in mV ms, c per ms.

    ``history`` and ``refractory`` in steps of ``dt`` ms, per population; ``delay`` in steps.
    """

    constants: dict[str, np.ndarray]
    sizes: np.ndarray
    history: np.ndarray
    refractory: np.ndarray
    delay: int
    dt: float

    def log_likelihood(self, counts: np.ndarray, first: int) -> float:
        """Of ``counts[time, population]`` from step ``first`` on, without binomial coefficients."""
        return self._pass(
            np.array(counts, dtype=np.float64), first, rng=np.random.default_rng(0), draw=False
        )

    def simulate(self, steps: int, *, seed: int) -> np.ndarray:
        """Counts [time, population] from silence."""
        counts = np.zeros((steps, len(self.sizes)))
        self._pass(counts, steps, rng=np.random.default_rng(seed), draw=True)
        return counts

    def _pass(
        self, counts: np.ndarray, first: int, *, rng: np.random.Generator, draw: bool
    ) -> float:
        c = self.constants
        names = (
            "u_rest",
            "u_th",
            "u_r",
            "tau_m",
            "t_ref",
            "c",
            "Delta_u",
            "tau_s",
            "J_th",
            "tau_th",
        )
        table = np.array([c[name] for name in names], dtype=np.float64)
        return _run(
            table, c["p"] * c["w"], self.sizes, self.history, self.refractory, self.delay, self.dt,
            counts, first, rng, draw,
        )  # fmt: skip


@numba.njit(cache=True)
def _run(table, weights, sizes, history, refractory, delay, dt, counts, first, rng, draw):
    u_rest, u_th, u_r, tau_m, t_ref, c, width, tau_s, jump, tau_th = table
    pops, longest = len(sizes), history.max()
    m = np.zeros((pops, longest))
    v, u, lam, n = np.zeros_like(m), np.zeros_like(m), np.zeros_like(m), np.zeros_like(m)
    theta, past = np.zeros((pops, longest + 1)), np.zeros((pops, longest + 1))
    for a in range(pops):
        for k in range(refractory[a], history[a] + 1):
            since = (k + 0.5) * dt - t_ref[a]
            theta[a, k] = jump[a] / tau_th[a] * math.exp(-since / tau_th[a])
            past[a, k] = width[a] * (1 - math.exp(-theta[a, k] / width[a])) / sizes[a]
    y, h = np.zeros(pops), u_rest.copy()
    x, z = sizes.astype(np.float64), np.zeros(pops)
    g, lam_free, added = np.zeros(pops), np.zeros(pops), np.zeros(pops)
    log_likelihood = 0.0
    for t in range(len(counts)):
        for a in range(pops):
            e_m = math.exp(-dt / tau_m[a])
            added[a] = u_rest[a] * (1 - e_m)
            for b in range(pops):
                rate = counts[t - delay, b] / (sizes[b] * dt) if t >= delay else 0.0
                e_s = math.exp(-dt / tau_s[b])
                mixed = tau_s[b] * (y[b] - rate) * e_s - e_m * (tau_s[b] * y[b] - tau_m[a] * rate)
                gain = weights[a, b] * sizes[b] * tau_m[a]
                added[a] += gain * (rate + mixed / (tau_s[b] - tau_m[a]))
        for b in range(pops):
            rate = counts[t - delay, b] / (sizes[b] * dt) if t >= delay else 0.0
            y[b] = rate + (y[b] - rate) * math.exp(-dt / tau_s[b])
        for a in range(pops):
            size, ages, e_m = float(sizes[a]), history[a], math.exp(-dt / tau_m[a])
            h[a] = h[a] * e_m + added[a]
            gone = math.exp(-((ages + 1) * dt - t_ref[a]) / tau_th[a])
            th_free = u_th[a] + jump[a] * gone * g[a]
            w_sum, y_sum, z_sum, x_sum, older = 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(ages, 0, -1):
                i = (t - k) % ages
                x_sum += m[a, i]
                if k < refractory[a]:
                    continue
                if k == refractory[a]:
                    u[a, i] = 0.5 * (u_r[a] + u_r[a] * e_m + added[a])
                else:
                    u[a, i] = u[a, i] * e_m + added[a]
                threshold = th_free + theta[a, k] + older
                older += n[a, i] * past[a, k]
                new = c[a] * math.exp((u[a, i] - threshold) / width[a])
                p = 1 - math.exp(-0.5 * (lam[a, i] + new) * dt)
                lam[a, i] = new
                w_sum += p * m[a, i]
                y_sum += p * v[a, i]
                z_sum += v[a, i]
                v[a, i] = (1 - p) ** 2 * v[a, i] + p * m[a, i]
                m[a, i] = (1 - p) * m[a, i]
            new = c[a] * math.exp((h[a] - th_free) / width[a])
            p = 1 - math.exp(-0.5 * (lam_free[a] + new) * dt)
            lam_free[a] = new
            shared = (y_sum + p * z[a]) / (z_sum + z[a]) if z_sum + z[a] > 0 else 0.0
            expected = w_sum + p * x[a] + shared * (size - x_sum - x[a])
            q = min(max(expected / size, 1e-6), 1 - 1e-6)
            if draw:
                counts[t, a] = rng.binomial(sizes[a], q)
            elif t >= first:
                log_likelihood += counts[t, a] * math.log(q)
                log_likelihood += (size - counts[t, a]) * math.log1p(-q)
            i = t % ages  # of the oldest, whose place the youngest takes
            z[a] = (1 - p) ** 2 * z[a] + p * x[a] + v[a, i]
            x[a] = (1 - p) * x[a] + m[a, i]
            e_th = math.exp(-dt / tau_th[a])
            g[a] = g[a] * e_th + (1 - e_th) * n[a, i] / (size * dt)
            m[a, i] = n[a, i] = counts[t, a]
            v[a, i] = lam[a, i] = 0.0
    return log_likelihood


def rene_2020() -> Reference:
    """The two populations of Rene et al. 2020 in steps of 1 ms."""
    constants = {
        "w": [[0.176, -0.702]] * 2,
        "p": [[0.1009, 0.1689], [0.1346, 0.1371]],
        "u_rest": [20.123, 20.362],
        "u_th": [15.0, 15.0],
        "u_r": [0.0, 0.0],
        "tau_m": [20.0, 20.0],
        "t_ref": [4.0, 4.0],
        "c": [0.01, 0.01],
        "Delta_u": [5.0, 5.0],
        "tau_s": [3.0, 6.0],
        "J_th": [1000.0, 0.0],
        "tau_th": [200.0, 1.0],
    }
    return Reference(
        {name: np.array(values) for name, values in constants.items()},
        sizes=np.array([500, 100]),
        history=np.array([465, 100]),
        refractory=np.array([4, 4]),
        delay=1,
        dt=1.0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    repeats = 2 if parser.parse_args().quick else 5
    network, steps, seconds = rene_2020(), 21_000, []
    for repeat in range(repeats + 1):
        began = time.process_time()
        network.simulate(steps, seed=repeat)
        seconds.append(time.process_time() - began)
    answer = {
        "system": "compiled scalar loop",
        "work": "counts of two populations, double, one parameter set at a time, no features",
        "ns_per_step": min(seconds[1:]) / steps * 1e9,  # the first compiles
        "dt": network.dt,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
