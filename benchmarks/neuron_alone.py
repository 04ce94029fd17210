"""The ball and stick in NEURON without neurosbi: built once, run with NEURON's standard run loop.

python benchmarks/neuron_alone.py [--quick]; prints one row as JSON. It keeps the voltage and
computes no features.
"""

import json
import sys
import time

import numpy as np
from neurosbi_simulators.neuron import BallAndStick
from neurosbi_simulators.neuron.mechanisms import CHANNELS, compiled, interpreter


def main() -> None:
    model = BallAndStick()
    h = interpreter(compiled(CHANNELS))
    cell = model.build(h)
    stimulus = model.stimulus
    clamp = h.IClamp(cell.site)
    clamp.delay, clamp.dur = stimulus.onset, stimulus.duration
    clamp.amp = stimulus.amplitude * 1e-3  # nA
    voltage = h.Vector().record(cell.site._ref_v)
    h.celsius, h.secondorder = model.celsius, 2
    h.dt, h.steps_per_ms = model.dt, 1 / model.dt
    names = [p.name for p in model.parameters]
    times = []
    for row in model.sample_prior(2 if "--quick" in sys.argv else 8, seed=0).tolist():
        model.set_parameters(cell, dict(zip(names, row, strict=True)))
        began = time.process_time()
        h.finitialize(-70.0)
        h.continuerun(stimulus.total)
        assert np.isfinite(np.array(voltage)).all()
        times.append(time.process_time() - began)
    answer = {
        "system": "NEURON alone",
        "work": "the same cell, standard run loop, no noise, no features",
        "dt": model.dt,
        "ns_per_step": float(np.mean(times)) * model.dt / stimulus.total * 1e9,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
