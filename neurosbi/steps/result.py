"""The result of a fit: posterior, checks and verdict, and what can be done with them."""

__all__ = ["Result"]

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurosbi.contract import Observation, Simulator, Stimulus
from neurosbi.errors import BadInputError
from neurosbi.report import Findings, render_report
from neurosbi.store import atomic_path, cache_directory
from neurosbi.store.result_tree import result_tree

if TYPE_CHECKING:
    import arviz

    from neurosbi.inference._sbi import DirectPosterior
    from neurosbi.inference.network import Network


@dataclass(frozen=True, eq=False)
class Result(Findings):
    """The posterior of one recording, with checks; made by `assemble_result` or `open_result`.

    ``folder`` is where it lies on disk, None if it was not written; ``network`` is the trained
    network, None after `open_result` (it is then looked up where it was kept, when needed).
    """

    folder: Path | None = None
    network: "Network | None" = None

    @cached_property
    def tree(self) -> xr.DataTree:
        """All arrays as an xarray DataTree in ArviZ's schema."""
        check, prior = self.predictive, self.prior_predictive
        arrays = {
            "distance": check.distance,
            "prior_distance": check.prior_distance,
            "spread": check.spread,
            "quantile": check.quantile,
            "prior_quantile": check.prior_quantile,
            "defined": check.defined,
            "range_low": prior.low,
            "range_high": prior.high,
            "outside": prior.outside,
        }
        return result_tree(self.stored, checks=arrays)

    @property
    def posterior(self) -> xr.Dataset:
        """Posterior draws, one variable per parameter, dims (chain, draw); units in the attrs."""
        return self.tree["posterior"].to_dataset()

    @property
    def prior(self) -> xr.Dataset:
        """Prior draws, as `posterior`."""
        return self.tree["prior"].to_dataset()

    @property
    def observation(self) -> Observation:
        """The sweep that was fitted: stimulus, voltage (mV), features."""
        return self.stored.observation

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the fit, as plain data."""
        return dict(self.stored.config)

    def check(self) -> pd.DataFrame:
        """The feature table of the predictive checks; see `neurosbi.report.summary.feature_table`.

        `neurosbi.check` tests the calibration of the network and of the posterior at the recording.
        """
        return self.feature_table

    def report(self, path: str | Path) -> Path:
        """Write the HTML report to ``path``; returns the path."""
        path = Path(path)
        text = render_report(self, folder=self.folder)
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return path

    def to_sbi(self) -> "DirectPosterior":
        """The posterior as an sbi object, conditioned on the recording.

        Raises `BadInputError` for an opened result whose network is no longer where it was.
        """
        observation, given = self.observation, self.stored.used
        network = self.trained_network()
        sweeps = self.stored.sweeps
        if sweeps is not None:
            stimuli = np.array([network.family.vector(s) for s in sweeps.stimuli])
            return network.posterior(sweeps.x, stimuli, sweeps.given).to_sbi()
        inputs = self.stored.inputs
        trace = None if inputs is None else inputs.trace
        return network.posterior(observation.x, observation.stimulus, given, trace).to_sbi()

    @property
    def network_folder(self) -> Path:
        """Where the network of this result was kept."""
        if "network_path" in self.config:
            return Path(self.config["network_path"])
        return cache_directory() / "networks" / str(self.config.get("network"))

    def trained_network(self) -> "Network":
        """The network of this result.

        Raises `BadInputError` for an opened result whose network is no longer where it was.
        """
        from neurosbi.steps.train import open_network

        if self.network is not None:
            return self.network
        if "sampling" in self.stored.diagnostics:
            raise BadInputError(
                "this posterior was sampled by Markov chains, without a network; how they went is in "
                "the group sampling of results.zarr"
            )
        path = self.network_folder
        if not path.is_dir():
            raise BadInputError(
                f"the network of this result is not at {path} any more; run the fit again to "
                "train it, or use the stored samples (result.posterior)"
            )
        return open_network(path)

    def simulate(
        self,
        n: int = 100,
        *,
        seed: int = 0,
        simulator: str | Simulator | None = None,
        stimulus: Stimulus | None = None,
        traces: bool = False,
        threads: int | None = None,
    ) -> xr.Dataset:
        """The first ``n`` posterior draws, run through a simulator.

        ``simulator`` is a name or a `Simulator` with parameters of the same names (None: that of
        the fit, with its settings); ``stimulus`` is in its units (None: the recorded one). Gives
        ``x`` (sim, feature) and ``status`` (sim), or with ``traces`` what `Simulator.traces` gives;
        the parameters are coordinates of ``sim``. Raises `BadInputError` for more draws than there
        are, or a simulator with other parameters.
        """
        from neurosbi.steps.resimulate import simulate_draws

        return simulate_draws(
            self.stored,
            n,
            seed=seed,
            simulator=simulator,
            stimulus=stimulus,
            traces=traces,
            threads=threads,
        )

    def to_arviz(self) -> "arviz.InferenceData":
        """The result as ArviZ's InferenceData."""
        import warnings

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="arviz")
            from arviz import InferenceData

        return InferenceData.from_datatree(self.tree)
