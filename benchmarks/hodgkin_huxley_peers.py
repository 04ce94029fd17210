"""One other simulator, measured alone in its process; prints one row as JSON.

python benchmarks/hodgkin_huxley_peers.py scalar|neuron|neuron-no-tables|brian2|jaxley [--quick]
"""

import json
import math
import resource
import sys
import tempfile
import time

import numpy as np

DURATION = 120.0  # ms
CURRENT = 5e-4 / (math.pi * 70e-4**2)  # uA/cm2


def scalar(repeats: int) -> dict:
    """A straightforward compiled loop, one parameter set at a time, in double precision."""
    import numba

    @numba.njit
    def ef(z):
        return 1.0 - z / 2.0 if abs(z) < 1e-4 else z / (math.exp(z) - 1.0)

    @numba.njit
    def neuron(theta, current, noise, dt, out):
        g_na, g_k, g_l, g_m, tau_max, minus_v_t, sigma, minus_e_l = theta
        g_cal = g_cat = 0.0
        e_na, e_k, e_ca = 53.0, -107.0, 120.0
        v = -70.0
        m = h = n = p = q = r = s = u = 0.0
        for step in range(len(out)):
            if step > 0:
                g1, g2, g3, g4 = g_na * m**3 * h, g_k * n**4, g_m * p, g_cal * q * q * r
                g5 = g_cat * s * s * u
                total = g_l + g1 + g2 + g3 + g4 + g5
                drive = current[step - 1] + sigma * noise[step - 1] / math.sqrt(dt)
                v_inf = (
                    -minus_e_l * g_l + g1 * e_na + (g2 + g3) * e_k + (g4 + g5) * e_ca + drive
                ) / total
                v = v_inf + (v - v_inf) * math.exp(-dt * total)
            x = v + minus_v_t
            am, bm = 1.28 * ef(-(x - 13.0) / 4.0), 1.4 * ef((x - 40.0) / 5.0)
            ah, bh = 0.128 * math.exp(-(x - 17.0) / 18.0), 4.0 / (1.0 + math.exp(-(x - 40.0) / 5.0))
            an, bn = 0.16 * ef(-(x - 15.0) / 5.0), 0.5 * math.exp(-(x - 10.0) / 40.0)
            p_inf = 1.0 / (1.0 + math.exp(-(v + 35.0) / 10.0))
            tau_p = tau_max / (3.3 * math.exp((v + 35.0) / 20.0) + math.exp(-(v + 35.0) / 20.0))
            aq, bq = 0.209 * ef(-(v + 27.0) / 3.8), 0.94 * math.exp(-(v + 75.0) / 17.0)
            ar = 0.000457 * math.exp(-(v + 13.0) / 50.0)
            br = 0.0065 / (math.exp(-(v + 15.0) / 28.0) + 1.0)
            s = 1.0 / (1.0 + math.exp(-(v + 59.0) / 6.2))
            u_inf = 1.0 / (1.0 + math.exp((v + 83.0) / 4.0))
            tau_u = 30.8 / 3.7 + (211.4 + math.exp((v + 115.2) / 5.0)) / (
                3.7 * (1.0 + math.exp((v + 86.0) / 3.2))
            )
            long = dt if step > 0 else 1e9  # the gates begin in their steady state
            m = am / (am + bm) + (m - am / (am + bm)) * math.exp(-long * (am + bm))
            h = ah / (ah + bh) + (h - ah / (ah + bh)) * math.exp(-long * (ah + bh))
            n = an / (an + bn) + (n - an / (an + bn)) * math.exp(-long * (an + bn))
            p = p_inf + (p - p_inf) * math.exp(-long / tau_p)
            q = aq / (aq + bq) + (q - aq / (aq + bq)) * math.exp(-long * (aq + bq))
            r = ar / (ar + br) + (r - ar / (ar + br)) * math.exp(-long * (ar + br))
            u = u_inf + (u - u_inf) * math.exp(-long / tau_u)
            out[step] = v

    dt = 0.01
    steps = round(DURATION / dt)
    theta = np.array([50.0, 5.0, 0.1, 0.07, 600.0, 60.0, 0.1, 70.0])
    current = np.zeros(steps)
    current[1000:11_000] = CURRENT
    out = np.empty(steps)
    rng = np.random.default_rng(0)

    def run():
        for _ in range(10):
            neuron(theta, current, rng.standard_normal(steps), dt, out)

    run()
    return {
        "system": "compiled scalar loop",
        "work": "double, noise, trace, default set",
        "ns_per_step": _fastest(run, repeats) / (10 * steps) * 1e9,
        "dt": dt,
    }


def neuron(repeats: int, *, tables: bool) -> dict:
    """NEURON's hh channel in 256 single compartments, fixed step."""
    from neuron import h

    n, dt = 256, 0.025
    h.load_file("stdrun.hoc")
    keep = []
    for _ in range(n):
        cell = h.Section()
        cell.L = cell.diam = 20.0
        cell.insert("hh")
        clamp = h.IClamp(cell(0.5))
        clamp.delay, clamp.dur, clamp.amp = 10.0, 100.0, 0.1
        keep.append((cell, clamp))
    h.usetable_hh = int(tables)
    h.CVode().active(False)
    h.dt = dt
    h.steps_per_ms = 1 / dt

    def run():
        h.finitialize(-65.0)
        h.continuerun(DURATION)

    run()
    seconds = _fastest(run, repeats)
    return {
        "system": "NEURON hh",
        "work": f"256 compartments, {'tables' if tables else 'no tables'}, no noise",
        "ns_per_step": seconds / (n * DURATION / dt) * 1e9,
        "dt": dt,
    }


def brian2(repeats: int) -> dict:
    """The same four currents as ours in 1024 neurons, C++ standalone."""
    import brian2 as b

    n, dt = 1024, 0.01
    folder = tempfile.mkdtemp()
    b.set_device("cpp_standalone", directory=folder, build_on_run=False)
    b.defaultclock.dt = dt * b.ms
    b.prefs.devices.cpp_standalone.openmp_threads = 0
    equations = """
    dv/dt = (I - g_na*m**3*h*(v - 53) - (g_k*n**4 + g_m*p)*(v + 107) - g_l*(v + 70))/ms : 1
    I = drive*int(t >= 10*ms)*int(t < 110*ms) : 1
    u = v - v_t : 1
    dm/dt = (am*(1 - m) - bm*m)/ms : 1
    dh/dt = (ah*(1 - h) - bh*h)/ms : 1
    dn/dt = (an*(1 - n) - bn*n)/ms : 1
    dp/dt = (p_inf - p)*(3.3*exp((v + 35)/20) + exp(-(v + 35)/20))/tau_max/ms : 1
    am = 1.28/exprel(-(u - 13)/4) : 1
    bm = 1.4/exprel((u - 40)/5) : 1
    ah = 0.128*exp(-(u - 17)/18) : 1
    bh = 4/(1 + exp(-(u - 40)/5)) : 1
    an = 0.16/exprel(-(u - 15)/5) : 1
    bn = 0.5*exp(-(u - 10)/40) : 1
    p_inf = 1/(1 + exp(-(v + 35)/10)) : 1
    g_na : 1
    g_k : 1
    g_l : 1
    g_m : 1
    tau_max : 1
    v_t : 1
    drive : 1
    """
    group = b.NeuronGroup(n, equations, method="exponential_euler")
    group.v = -70
    group.g_na, group.g_k, group.g_l, group.g_m = 50, 5, 0.1, 0.07
    group.tau_max, group.v_t, group.drive = 600, -60, CURRENT
    duration = DURATION if repeats > 1 else DURATION / 4
    b.run(duration * b.ms)
    b.device.build(directory=folder, run=False, with_output=False)

    def children():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    seconds = []
    for _ in range(repeats):
        before = children()
        b.device.run(folder, with_output=False, run_args=[])
        seconds.append(children() - before)
    return {
        "system": "Brian2 C++ standalone",
        "work": "1024 neurons, double, no noise, default set",
        "ns_per_step": min(seconds) / (n * duration / dt) * 1e9,
        "dt": dt,
    }


def jaxley(repeats: int) -> dict:
    """The channels of Pospischil's neuron that jaxley ships, 256 of them, jitted for the CPU."""
    import os
    from importlib.metadata import version

    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    import jaxley as jx
    from jaxley.channels.pospischil import K, Km, Leak, Na

    n, dt, duration = 256, 0.025, DURATION
    cell = jx.Cell(jx.Branch(jx.Compartment(), ncomp=1), parents=[-1])
    for channel in (Na(), K(), Km(), Leak()):
        cell.insert(channel)
    cell.record("v")
    cell.stimulate(jx.step_current(10.0, 100.0, 0.1, dt, duration))
    cell.make_trainable("radius")

    def one(radius):
        return jx.integrate(cell, params=[{"radius": radius[None]}], delta_t=dt)

    many = jax.jit(jax.vmap(one))
    radii = jnp.linspace(9.0, 11.0, n)
    run = lambda: many(radii).block_until_ready()  # noqa: E731
    run()
    return {
        "system": f"jaxley {version('jaxley')}",
        "work": f"{n} compartments with Na, K, M and leak, double, no noise, traces",
        "ns_per_step": _fastest(run, repeats) / (n * duration / dt) * 1e9,
        "dt": dt,
    }


def _fastest(run, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        before = time.process_time()
        run()
        times.append(time.process_time() - before)
    return min(times)


def main() -> None:
    repeats = 1 if "--quick" in sys.argv else 3
    measure = {
        "scalar": lambda: scalar(repeats),
        "neuron": lambda: neuron(repeats, tables=True),
        "neuron-no-tables": lambda: neuron(repeats, tables=False),
        "brian2": lambda: brian2(repeats),
        "jaxley": lambda: jaxley(repeats),
    }
    print(json.dumps(measure[sys.argv[1]]()))


if __name__ == "__main__":
    main()
