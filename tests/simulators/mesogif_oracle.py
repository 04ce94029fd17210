"""The mesoscopic model once more, one step at a time and by torch, straight from its equations.

Slow, in double precision, and differentiable: the oracle for likelihoods and gradients.
"""

import torch

MS = 1000.0  # mV ms per mV s


def log_likelihood(constants, counts, *, sizes, dt, delay, first, history, refractory):
    """log p(counts) of ``counts[time, population]`` from step ``first`` on.

    ``constants``: tensors by name, [population] or [to, from]. ``history`` and ``refractory`` are
    numbers of steps by population.
    """
    steps, m = counts.shape
    c = constants
    e_m = torch.exp(-dt / c["tau_m"])
    e_s = torch.exp(-dt / c["tau_s"])
    e_th = torch.exp(-dt / c["tau_th"])
    pops = [Population(c, a, sizes[a], dt, history[a], refractory[a]) for a in range(m)]
    y = torch.zeros(m, dtype=torch.float64)
    h = c["u_rest"].clone()
    total = torch.zeros((), dtype=torch.float64)
    for t in range(steps):
        arrived = counts[t - delay] if t >= delay else torch.zeros(m, dtype=torch.float64)
        rate = arrived / (torch.tensor(sizes, dtype=torch.float64) * dt)
        drive = []
        for a in range(m):
            tau_m, e = c["tau_m"][a], e_m[a]
            into = torch.zeros((), dtype=torch.float64)
            for b in range(m):
                tau_s = c["tau_s"][b]
                weight = c["p"][a, b] * c["w"][a, b] * sizes[b] * tau_m
                mixed = tau_s * (y[b] - rate[b]) * e_s[b] - e * (tau_s * y[b] - tau_m * rate[b])
                into = into + weight * (rate[b] + mixed / (tau_s - tau_m))
            drive.append(into + c["u_rest"][a] * (1 - e))
        y = rate + (y - rate) * e_s
        added = torch.stack(drive)
        h = h * e_m + added
        for a in range(m):
            expected = pops[a].step(added[a], h[a], e_m[a], e_th[a])
            n = counts[t, a]
            if t >= first:
                binomial = torch.distributions.Binomial(
                    sizes[a], probs=expected / sizes[a], validate_args=False
                )
                total = total + binomial.log_prob(n)
            pops[a].spike(n)
    return total


class Population:
    """One population; ages run from 1 (the youngest), tensors [age]."""

    def __init__(self, c, a, size, dt, history, refractory):
        self.size, self.dt, self.history, self.refractory = size, dt, history, refractory
        self.u_th, self.width, self.u_r = c["u_th"][a], c["Delta_u"][a], c["u_r"][a]
        self.hazard = c["c"][a] * 1e-3
        age = torch.arange(1, history + 1, dtype=torch.float64)
        since = (age + 0.5) * dt - c["t_ref"][a]
        jump = MS * c["J_th"][a] / c["tau_th"][a]
        self.theta = jump * torch.exp(-since / c["tau_th"][a])
        self.theta = torch.where(age < refractory, torch.zeros(()).double(), self.theta)
        last = (history + 1) * dt - c["t_ref"][a]
        self.free = MS * c["J_th"][a] * torch.exp(-last / c["tau_th"][a])
        zero = torch.zeros(history, dtype=torch.float64)
        self.m, self.v, self.u, self.lam, self.n = (zero.clone() for _ in range(5))
        self.x = torch.tensor(float(size), dtype=torch.float64)
        self.z = self.g = self.lam_free = torch.zeros((), dtype=torch.float64)

    def step(self, added, h, e, e_th):
        """Expected spikes of this step; everything becomes one step older."""
        active = torch.arange(1, self.history + 1) >= self.refractory
        threshold_free = self.u_th + self.free * self.g
        per_spike = self.width * (1 - torch.exp(-self.theta / self.width)) / self.size
        raised = self.n * per_spike
        older = torch.flip(torch.cumsum(torch.flip(raised, [0]), 0), [0]) - raised
        theta = threshold_free + self.theta + older
        released = 0.5 * (self.u_r + self.u_r * e + added)
        first = torch.arange(1, self.history + 1) == self.refractory
        u = torch.where(first, released, self.u * e + added)
        lam = torch.where(active, self.hazard * torch.exp((u - theta) / self.width), 0.0)
        p = torch.where(active, 1 - torch.exp(-0.5 * self.dt * (self.lam + lam)), 0.0)
        lam_free = self.hazard * torch.exp((h - threshold_free) / self.width)
        p_free = 1 - torch.exp(-0.5 * self.dt * (self.lam_free + lam_free))
        spread = self.v.sum() + self.z
        shared = (p * self.v).sum() + p_free * self.z
        correction = shared / spread if spread.item() > 0 else torch.zeros(()).double()
        missing = self.size - self.m.sum() - self.x
        expected = (p * self.m).sum() + p_free * self.x + correction * missing
        m, v = self.m * (1 - p), (1 - p) ** 2 * self.v + p * self.m
        self.z = (1 - p_free) ** 2 * self.z + p_free * self.x + v[-1]
        self.x = (1 - p_free) * self.x + m[-1]
        self.g = self.g * e_th + (1 - e_th) * self.n[-1] / (self.size * self.dt)
        self.lam_free, self.u, self.lam = lam_free, u, lam
        self.m, self.v = m, v
        return expected

    def spike(self, n):
        """``n`` neurons become the youngest age."""
        young = torch.zeros(1, dtype=torch.float64)
        self.m = torch.cat([n.reshape(1), self.m[:-1]])
        self.n = torch.cat([n.reshape(1), self.n[:-1]])
        self.v = torch.cat([young, self.v[:-1]])
        self.u = torch.cat([young, self.u[:-1]])
        self.lam = torch.cat([young, self.lam[:-1]])
