"""The pyloric network and its features once more: slow, in double precision, written apart.

The network advances as the published code does: every update of a step uses the old values, sample
0 is the initial state, and the noise current of sample i acts on the way to it. Features follow the
definitions of Deistler et al. 2022 from whole traces, with SciPy's filter.
"""

import numpy as np
from scipy import signal, stats

E = np.array(
    [50.0, np.nan, np.nan, -80.0, -80.0, -80.0, -20.0, -50.0]
)  # Na CaT CaS A KCa Kd H leak
POWERS = np.array([3, 3, 3, 3, 4, 4, 1])
# post, pre, reversal potential, k; in the order of the parameters
SYNAPSES = (
    (1, 0, -70.0, 40.0),
    (1, 0, -80.0, 100.0),
    (2, 0, -70.0, 40.0),
    (2, 0, -80.0, 100.0),
    (0, 1, -70.0, 40.0),
    (2, 1, -70.0, 40.0),
    (1, 2, -70.0, 40.0),
)


def boltzmann(v, a, b):
    return 1 / (1 + np.exp((v + a) / b))


def activation(v, ca):
    """Steady states and time constants (ms) of the seven activations, [gate, cell]."""
    x = np.array(
        [
            boltzmann(v, 25.5, -5.29),
            boltzmann(v, 27.1, -7.2),
            boltzmann(v, 33, -8.1),
            boltzmann(v, 27.2, -8.7),
            ca / (ca + 3) * boltzmann(v, 28.3, -12.6),
            boltzmann(v, 12.3, -11.8),
            boltzmann(v, 75, 5.5),
        ]
    )
    tau = np.array(
        [
            2.64 - 2.52 * boltzmann(v, 120, -25),
            43.4 - 42.6 * boltzmann(v, 68.1, -20.5),
            2.8 + 14 / (np.exp((v + 27) / 10) + np.exp((v + 70) / -13)),
            23.2 - 20.8 * boltzmann(v, 32.9, -15.2),
            180.6 - 150.2 * boltzmann(v, 46, -22.7),
            14.4 - 12.8 * boltzmann(v, 28.3, -19.2),
            2 / (np.exp(-14.59 - 0.086 * v) + np.exp(-1.87 + 0.0701 * v)),
        ]
    )
    return x, tau


def inactivation(v):
    """The same of the four inactivations."""
    x = np.array(
        [
            boltzmann(v, 48.9, 5.18),
            boltzmann(v, 32.1, 5.5),
            boltzmann(v, 60, 6.2),
            boltzmann(v, 56.9, 4.9),
        ]
    )
    tau = np.array(
        [
            1.34 * boltzmann(v, 62.9, -10) * (1.5 + boltzmann(v, 34.9, 3.6)),
            210 - 179.6 * boltzmann(v, 55, -16.9),
            120 + 300 / (np.exp((v + 55) / 9) + np.exp((v + 65) / -16)),
            77.2 - 58.4 * boltzmann(v, 38.9, -26.5),
        ]
    )
    return x, tau


def integrate(theta, *, dt, total, current=None, kelvin=283.0, q10=None):
    """V in mV and power in nW/cm2 [time, cell] of one parameter set (synapses in nS).

    ``current`` [time, cell] in uA. ``q10``: dictionary with g (8), syn_g, tau_m, tau_h, ca,
    tau_syn.
    """
    q = {
        "g": np.full(8, 1.5),
        "syn_g": (1.5, 1.5),
        "tau_m": 2.4,
        "tau_h": 2.8,
        "ca": 2.0,
        "tau_syn": (1.7, 1.7),
    } | (q10 or {})
    tens = (kelvin - 283.0) / 10.0
    g_max = theta[:24].reshape(3, 8) * 0.628e-3 * np.asarray(q["g"]) ** tens
    strength = theta[24:31] * 1e-6
    chol = np.array([e == -80.0 for *_, e, _ in SYNAPSES], dtype=int)
    strength = strength * np.asarray(q["syn_g"])[chol] ** tens
    unbinding = np.array([k for *_, k in SYNAPSES]) / np.asarray(q["tau_syn"])[chol] ** tens
    fast_m = np.full(7, float(q["tau_m"])) ** tens
    fast_m[2], fast_m[4] = 2.0**tens, 1.6**tens
    fast_h = float(q["tau_h"]) ** tens
    nernst = 8.31451e3 * kelvin / (2 * 96485.3415)
    post = np.array([s[0] for s in SYNAPSES])
    pre = np.array([s[1] for s in SYNAPSES])
    reversal = np.array([s[2] for s in SYNAPSES])

    n = round(total / dt)
    v, ca = np.full(3, -50.0), np.full(3, 0.05)
    e_ca = nernst * np.log(3000 / ca)
    m, h, s = np.zeros((7, 3)), np.zeros((4, 3)), np.zeros(7)
    voltage, power = np.empty((n, 3)), np.zeros((n, 3))
    voltage[0] = v
    for i in range(1, n):
        opened = np.ones((8, 3))
        opened[:7] = m ** POWERS[:, None]
        opened[:4] *= h
        g = g_max.T * opened
        e = np.repeat(E[:, None], 3, axis=1)
        e[1:3] = e_ca  # of the step before
        g_syn = strength * s
        per_cell = [(g_syn[post == c], reversal[post == c]) for c in range(3)]
        power[i] = (g * (v - e) ** 2).sum(axis=0)
        power[i] += [np.sum(a * (v[c] - b) ** 2) for c, (a, b) in enumerate(per_cell)]
        e_ca = nernst * np.log(3000 / ca)
        e[1:3] = e_ca
        i_ca = (g[1] + g[2]) * (v - e_ca)
        ca_inf = 0.05 - 14961 * i_ca
        new_ca = ca_inf + (ca - ca_inf) * np.exp(-dt * q["ca"] ** tens / 200)
        total_g = g.sum(axis=0) + [a.sum() for a, _ in per_cell]
        drive = (g * e).sum(axis=0) + [np.sum(a * b) for a, b in per_cell]
        if current is not None:
            drive = drive + current[i]
        with np.errstate(divide="ignore", invalid="ignore"):
            v_inf = drive / total_g
        relaxed = v_inf + (v - v_inf) * np.exp(-dt * total_g / 0.6283e-3)
        new_v = np.where(total_g == 0, v + dt * drive / 0.6283e-3, relaxed)
        x, tau = activation(v, ca)
        m = x + (m - x) * np.exp(-dt * fast_m[:, None] / tau)
        x, tau = inactivation(v)
        h = x + (h - x) * np.exp(-dt * fast_h / tau)
        s_inf = 1 / (1 + np.exp((-35 - v[pre]) / 5))
        tau_s = unbinding * (1 - s_inf)
        s = np.where(dt > tau_s, s_inf, s + (s_inf - s) * dt / np.maximum(tau_s, 1e-300))
        v, ca = new_v, new_ca
        voltage[i] = v
    return voltage, power / 0.628e-3


def cell_features(v, power, dt):
    """Spikes, bursts, plateau and energies of one cell from its whole trace."""
    width = int(0.5 / dt + 1e-9)
    width += width % 2 == 0
    smooth = signal.savgol_filter(v, width, 3)
    slope = np.diff(smooth)
    spikes = np.flatnonzero((smooth[1:-1] > -10) & (slope[:-1] >= 0) & (slope[1:] <= 0))
    found = {"spikes": spikes, "starts": np.empty(0, int), "ends": np.empty(0, int)}
    plateaus, energies = [], []
    if len(spikes):
        last = np.append(np.flatnonzero(np.diff(spikes) * dt >= 150 - 1e-9), len(spikes) - 1)
        first = np.insert(last[:-1] + 1, 0, 0)
        long = (spikes[last] - spikes[first]) * dt > 40 + 1e-9
        starts, ends = spikes[first][long], spikes[last][long]
        found |= {"starts": starts, "ends": ends}
        stops = [*starts[1:], spikes[-1]][: len(starts)]
        for start, end, stop in zip(starts, ends, stops, strict=True):
            above = (smooth[start:stop] > -30)[:: round(0.25 / dt)]
            closed = np.flatnonzero(~above)  # a run that goes on to the end does not count
            longest = np.max(np.diff(np.append(-1, closed)) - 1, initial=0)
            plateaus.append(longest * round(0.25 / dt))
            begin = max(0, start - round(2 / dt))
            energies.append(power[begin : end + round(12 / dt)].sum() * dt / 1e3)
    plateau = np.mean(plateaus) * dt if plateaus else np.nan
    found["plateau"] = 2.5 if plateau < 5 else plateau
    found["energies"] = np.array(energies)
    return found


def features(v, power, dt):
    """All features by name, of traces [time, cell] without burn-in."""
    names = ("PD", "LP", "PY")
    cells = [cell_features(v[:, c], power[:, c], dt) for c in range(3)]
    x = {}
    starts = cells[0]["starts"]
    period = np.mean(np.diff(starts)) * dt if len(starts) > 1 else np.nan
    x["cycle_period"] = period
    for name, cell, c in zip(names, cells, range(3), strict=True):
        durations = (cell["ends"] - cell["starts"]) * dt
        x[f"burst_duration_{name}"] = durations.mean() if len(durations) else np.nan
        x[f"duty_cycle_{name}"] = x[f"burst_duration_{name}"] / period
        x[f"plateau_duration_{name}"] = cell["plateau"]
        x[f"spike_count_{name}"] = len(cell["spikes"])
        x[f"burst_count_{name}"] = len(cell["starts"])
        x[f"v_mean_{name}"] = v[:, c].mean()
        x[f"v_sd_{name}"] = v[:, c].std()
        x[f"v_skewness_{name}"] = stats.skew(v[:, c])
        x[f"v_kurtosis_{name}"] = stats.kurtosis(v[:, c])
        x[f"energy_{name}"] = power[:, c].sum() * dt / 1e3
        energies = cell["energies"]
        x[f"burst_energy_{name}"] = energies.mean() if len(energies) else np.nan
        x[f"spike_energy_{name}"] = (
            energies.sum() / len(cell["spikes"]) if len(energies) else np.nan
        )
    cycles = []
    for begin, end in zip(starts[:-1], starts[1:], strict=True):
        inside = [(begin <= c["starts"]) & (c["starts"] < end) for c in cells]
        if all(i.sum() == 1 for i in inside):
            cycles.append(
                [(c["starts"][i][0], c["ends"][i][0]) for c, i in zip(cells, inside, strict=True)]
            )
    triphasic = len(starts) > 1 and len(cycles) >= 0.9 * (len(starts) - 1)
    c = (
        np.array(cycles, dtype=float).reshape(-1, 3, 2) * dt
        if triphasic
        else np.full((1, 3, 2), np.nan)
    )
    x["delay_PD_LP"] = np.mean(c[:, 1, 0] - c[:, 0, 0])
    x["delay_PD_PY"] = np.mean(c[:, 2, 0] - c[:, 0, 0])
    x["delay_LP_PY"] = np.mean(c[:, 2, 0] - c[:, 1, 0])
    x["gap_PD_LP"] = np.mean(c[:, 1, 0] - c[:, 0, 1])
    x["gap_LP_PY"] = np.mean(c[:, 2, 0] - c[:, 1, 1])
    x["phase_gap_PD_LP"] = x["gap_PD_LP"] / period
    x["phase_gap_LP_PY"] = x["gap_LP_PY"] / period
    x["phase_LP"] = x["delay_PD_LP"] / period
    x["phase_PY"] = x["delay_PD_PY"] / period
    ordered = (c[:, 1, 0] <= c[:, 2, 0]) & (c[:, 1, 1] <= c[:, 2, 1]) & (c[:, 0, 1] <= c[:, 1, 0])
    x["pyloric_like"] = float(triphasic and ordered.mean() >= 0.7)
    return x
