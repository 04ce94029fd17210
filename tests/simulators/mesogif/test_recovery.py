"""Parameters that made the counts are found again."""

import numpy as np
import pytest
from mesogif_cases import counts_from, defaults
from neurosbi_simulators.mesogif import MesoGif
from scipy import stats

from neurosbi.inference.likelihood_potential import LikelihoodPotential
from neurosbi.inference.map import find_map


@pytest.mark.slow
def test_every_start_finds_weights_that_the_true_ones_agree_with():
    model = MesoGif()
    counts = counts_from(model, steps=6000, seed=20)
    potential = LikelihoodPotential(model, model.observe_counts(counts, dt=1.0, onset=1000.0))
    found = find_map(potential, starts=3, steps=40, seed=5)
    assert found.agreeing(tolerance=0.1) == 3
    # twice the drop of the log-likelihood from its maximum to the truth is chi-squared
    drop = potential.simulator.log_likelihood(found.theta[:1], potential.data[0])
    drop = drop - potential.simulator.log_likelihood(defaults(model), potential.data[0])
    assert 2 * drop[0] < stats.chi2.ppf(0.999, len(model.parameters))
    assert np.all(np.sign(found.best) == np.sign(defaults(model)[0]))
