"""What lfi writes for ArviZ, 0.2x or 1: `.ci/run` tests this file with either.

A warning is an error here, and ArviZ says some things on standard output only.
"""

from importlib.metadata import version

import arviz
import h5netcdf
import pytest
import torch
from matplotlib import pyplot
from support.conjugate import ExactCritic, model, prior

from lfi.comparison import Recovers
from lfi.inference import RatioPosterior
from lfi.simulation import as_prior

EXACT = RatioPosterior(ExactCritic(1.0), as_prior(prior), Recovers.RATIO, (2,))
X = torch.tensor([[0.8, -0.5], [-1.0, 0.3], [2.0, 1.0]])
NARROW = RatioPosterior(
    ExactCritic(1.0), EXACT.prior.truncate([-1.0, -2.0], [2.5, 2.0]), Recovers.RATIO, (2,)
)
from_arviz_1 = pytest.mark.skipif(
    version("arviz").startswith("0."), reason="needs ArviZ 1: see .ci/run"
)


@pytest.fixture(params=["one observation", "many", "truncated"])
def written(request, tmp_path):
    """What lfi exports, and what ArviZ reads from the file of it; figures are closed afterwards."""
    posterior = NARROW if request.param == "truncated" else EXACT
    x_obs = X if request.param == "many" else X[0]
    data = posterior.to_arviz(x_obs, draws=400, simulator=model(), seed=1)
    data.to_netcdf(str(tmp_path / "posterior.nc"), engine="h5netcdf")
    yield data, arviz.from_netcdf(str(tmp_path / "posterior.nc"), engine="h5netcdf")
    pyplot.close("all")


def test_summary_and_pair_plot_are_content_with_what_they_read(written, capfd):
    for data in written:
        table = arviz.summary(data)
        arviz.plot_pair(data)
        assert not "".join(capfd.readouterr())
        assert table.map(float).notna().all(axis=None)
        means = data.posterior["a"].mean(("chain", "draw")).values.ravel()
        # ArviZ 1 rounds to as many digits as the error of a mean allows, .035 of 400 draws
        rows = table[table.index.str.startswith("a")]
        assert rows["mean"].map(float).tolist() == pytest.approx(means.tolist(), abs=0.01)


def test_a_file_gives_back_all_groups_and_attributes(written):
    data, again = written
    for name in ("posterior", "prior", "posterior_predictive", "observed_data"):
        ours, theirs = data[name], again[name]
        assert set(ours.data_vars) == set(theirs.data_vars)
        for variable in ours.data_vars:
            assert ours[variable].dims == theirs[variable].dims
            assert (ours[variable].values == theirs[variable].values).all()
    assert again.posterior.attrs["sampler"] == data.posterior.attrs["sampler"]


def test_the_file_is_the_same_whichever_arviz_wrote_it(tmp_path):
    data = NARROW.to_arviz(X[0], draws=400, simulator=model(), seed=1)
    data.to_netcdf(str(tmp_path / "posterior.nc"), engine="h5netcdf")
    with h5netcdf.File(tmp_path / "posterior.nc") as file:
        found = {name: sorted(group.variables) for name, group in file.groups.items()}
        assert file["posterior"]["a"].dimensions == ("chain", "draw")
        assert not file.variables
    parameters = ["a", "b", "chain", "draw"]
    assert found == {
        "posterior": parameters,
        "prior": parameters,
        "truncated_prior": parameters,
        "posterior_predictive": ["chain", "draw", "x", "x_dim_0"],
        "observed_data": ["x", "x_dim_0"],
    }


@from_arviz_1
@pytest.mark.parametrize(
    "plot",
    [
        "plot_dist",
        "plot_forest",
        "plot_trace",
        "plot_ppc_dist",
        "plot_prior_posterior",
    ],
)
def test_arviz_1_draws_what_it_reads(plot, written, capfd):
    getattr(arviz, plot)(written[1])
    assert not "".join(capfd.readouterr())


@from_arviz_1
def test_arviz_1_gets_a_tree():
    import xarray

    data = EXACT.to_arviz(X[0], draws=50, seed=1)
    assert isinstance(data, xarray.DataTree)
    assert set(data.children) == {"posterior", "prior", "observed_data"}
