"""The time loop of one network: arrivals, neurons, spikes.

The spikes of the last steps are kept in a ring; those that were sent ``delay`` steps ago arrive
now. A spike costs one addition per connection. Rows of ``state[row, neuron]`` (float32) are U,
THRESHOLD (above its base), HAZARD, BUDGET, DRIVE, and one synaptic current per kind of synapse.
"""

__all__ = ["N_OWN_ROWS", "advance", "initialise"]

import numpy as np

from neurosbi_simulators.numerics import entry, kernel
from neurosbi_simulators.numerics.counter import exponential, mix, unit
from neurosbi_simulators.numerics.exponential import exp
from neurosbi_simulators.numerics.prefetch import prefetch
from neurosbi_simulators.spiking import network as nw
from neurosbi_simulators.spiking.neurons import (
    add_noise,
    advance_escape,
    advance_sharp,
    collect_current,
    scale,
)

U, THRESHOLD, HAZARD, BUDGET, DRIVE = range(5)
N_OWN_ROWS = 5
_FETCHED_LINES = 16  # of 64 bytes; the processor sees the pattern in what follows
SPIKES, EVENTS = 0, 1  # totals
# numbers of draws: steps of noise from 0, budgets from here, the initial potential at the end
FIRST_BUDGET, INITIAL = 0x80000000, 0xFFFFFFFF


@entry
def initialise(starts, table, keys, neuron_keys, state):
    """Keys of every neuron [2, neuron], potentials between reset and threshold, first budgets."""
    state[:] = np.float32(0.0)
    for a in range(len(starts) - 1):
        reset, base = table[a, nw.RESET], table[a, nw.THRESHOLD]
        for i in range(starts[a], starts[a + 1]):
            key_a = mix(np.uint32(2 * i), keys[0], keys[1])
            key_b = mix(np.uint32(2 * i + 1), keys[0], keys[1])
            neuron_keys[0, i], neuron_keys[1, i] = key_a, key_b
            share = unit(mix(np.uint32(INITIAL), key_a, key_b))
            state[U, i] = reset + share * (base - reset)
            state[BUDGET, i] = exponential(np.uint32(FIRST_BUDGET), key_a, key_b)


@kernel
def _deliver(sent, weight, offsets, targets, current):
    """Spikes of one population arrive, with ``weight[to]``; the number of connections.

    Targets within a row differ, so four at a time can be read before any is written. The row of
    the next spike is fetched meanwhile: rows lie anywhere in memory.
    """
    n_populations = len(weight)
    events = np.int64(0)
    for q in range(len(sent)):
        row = np.int64(sent[q]) * n_populations
        if q + 1 < len(sent):
            following = offsets[np.int64(sent[q + 1]) * n_populations]
            for line in range(_FETCHED_LINES):
                prefetch(targets, following + line * (64 // targets.itemsize))
        for a in range(n_populations):
            arrivals = targets[offsets[row + a] : offsets[row + a + 1]]
            w = weight[a]
            if w == np.float32(0.0):
                continue
            events += len(arrivals)
            whole = len(arrivals) // 4 * 4
            for k in range(0, whole, 4):
                t0, t1 = arrivals[k], arrivals[k + 1]
                t2, t3 = arrivals[k + 2], arrivals[k + 3]
                c0, c1, c2, c3 = current[t0], current[t1], current[t2], current[t3]
                current[t0], current[t1] = c0 + w, c1 + w
                current[t2], current[t3] = c2 + w, c3 + w
            for k in range(whole, len(arrivals)):
                current[arrivals[k]] += w
    return events


@kernel
def _deliver_to_everyone(current, weight):
    for i in range(len(current)):
        current[i] += weight


@entry
def advance(
    first_step, last_step, counted_from, starts, table, weight, kappa, kind_decay, kind, hold_steps,
    delay, escape, everyone, offsets, targets, neuron_keys, state, hold, n_drawn, fired, fired_words,
    ring, ring_bounds, recorded_until, out_step, out_neuron, totals,
):  # fmt: skip
    """Steps ``first_step .. last_step``; returns the next step and the number of spikes written.

    Spikes of recorded neurons from step ``counted_from`` on go into ``out_step``, ``out_neuron``
    [spike]. It stops early where these might not hold another step.
    """
    n_populations = len(starts) - 1
    n_neurons = starts[n_populations]
    n_slots = len(ring)
    written = np.int64(0)
    for step in range(first_step, last_step):
        if written + n_neurons > len(out_step):
            return step, written
        # what was sent delay steps before the end of the last step arrives
        for b in range(n_populations):
            sent_at = step - 1 - delay[b]
            if sent_at < 0:
                continue
            slot = sent_at % n_slots
            sent = ring[slot, ring_bounds[slot, b] : ring_bounds[slot, b + 1]]
            if len(sent) == 0:
                continue
            current = state[N_OWN_ROWS + kind[b]]
            if everyone:
                for a in range(n_populations):
                    part = current[starts[a] : starts[a + 1]]
                    _deliver_to_everyone(part, weight[a, b] * np.float32(len(sent)))
                    if weight[a, b] != np.float32(0.0):
                        totals[EVENTS] += len(sent) * len(part)
            else:
                totals[EVENTS] += _deliver(sent, weight[:, b], offsets, targets, current)
        state[DRIVE, :] = np.float32(0.0)
        for a in range(n_populations):
            low, high = starts[a], starts[a + 1]
            drive = state[DRIVE, low:high]
            for k in range(len(kind_decay)):
                collect_current(drive, state[N_OWN_ROWS + k, low:high], kappa[a, k])
            c = table[a]
            if c[nw.NOISE] > np.float32(0.0):
                add_noise(
                    drive, neuron_keys[0, low:high], neuron_keys[1, low:high], np.uint32(step),
                    c[nw.NOISE],
                )  # fmt: skip
            if escape:
                advance_escape(
                    state[U, low:high], state[THRESHOLD, low:high], state[HAZARD, low:high],
                    state[BUDGET, low:high], drive, hold[low:high], fired[low:high],
                    c[nw.DECAY], c[nw.CONSTANT], c[nw.RESET], c[nw.THRESHOLD],
                    c[nw.INVERSE_WIDTH], c[nw.HALF_HAZARD], c[nw.THRESHOLD_DECAY],
                    c[nw.THRESHOLD_JUMP],
                )  # fmt: skip
            else:
                advance_sharp(
                    state[U, low:high], drive, hold[low:high], fired[low:high], c[nw.DECAY],
                    c[nw.CONSTANT], c[nw.RESET], c[nw.THRESHOLD],
                )  # fmt: skip
        for k in range(len(kind_decay)):
            scale(state[N_OWN_ROWS + k], kind_decay[k])
        # spikes, in the order of the neurons; eight at a time are found silent
        slot = step % n_slots
        n_sent = np.int64(0)
        b = 0
        ring_bounds[slot, 0] = 0
        for word in range(len(fired_words)):
            if fired_words[word] == 0:
                continue
            for i in range(8 * word, min(8 * word + 8, n_neurons)):
                if fired[i] == 0:
                    continue
                while i >= starts[b + 1]:
                    b += 1
                    ring_bounds[slot, b] = n_sent
                ring[slot, n_sent] = i
                n_sent += 1
                state[U, i] = table[b, nw.RESET]
                hold[i] = hold_steps[b]
                if escape:
                    state[HAZARD, i] = np.float32(0.0)
                    n_drawn[i] += np.uint32(1)
                    state[BUDGET, i] = exponential(
                        np.uint32(np.uint32(FIRST_BUDGET) + n_drawn[i]),
                        neuron_keys[0, i],
                        neuron_keys[1, i],
                    )
                    if hold_steps[b] == 0:  # half of this very step is left to it
                        state[THRESHOLD, i] += table[b, nw.THRESHOLD_JUMP]
                        above = table[b, nw.RESET] - table[b, nw.THRESHOLD] - state[THRESHOLD, i]
                        state[HAZARD, i] = exp(above * table[b, nw.INVERSE_WIDTH])
                        state[BUDGET, i] -= state[HAZARD, i] * table[b, nw.HALF_HAZARD]
                if step >= counted_from and i < recorded_until[b]:
                    out_step[written] = step
                    out_neuron[written] = i
                    written += 1
        while b < n_populations:
            b += 1
            ring_bounds[slot, b] = n_sent
        totals[SPIKES] += n_sent
    return last_step, written
