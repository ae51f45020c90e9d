"""Stores that are read in batches, and records that go to other tools."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, Uniform

from lfi.simulation import Simulations, Simulator, StreamedBatches, simulate
from lfi.training import Player, adamw, fit

N = 5 * 1024  # whole chunks


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    def partly(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        noise = torch.randn(len(theta), 2, generator=rng)
        x = theta[:, :1] + theta[:, 1:] * noise
        return torch.where(theta[:, :1] < 0.1, torch.nan, x)

    prior = {"a": Uniform(0.0, 1.0), "b": Normal(0.0, 1.0)}
    path = tmp_path_factory.mktemp("store") / "runs"
    simulate(Simulator(partly, prior=prior, name="partly"), N, seed=1, store=path)
    return path


@pytest.mark.parametrize("pool", [1, 3, 64])
def test_every_valid_row_is_drawn_once_a_pass_and_held_out_rows_never(pool, path):
    theta, x = Simulations.open(path).ok()
    batches = StreamedBatches(path, size=100, held_out=300, buffer=pool)
    rng, drawn = torch.Generator().manual_seed(0), []
    for _ in range((len(theta) - 300) // 100 - 1):  # all but less than two batches
        drawn.append(batches.draw(rng))
    seen = torch.cat([x for _, x in drawn] + [batches.held_out[1]])
    assert len(seen.unique(dim=0)) == len(seen)
    assert np.isin(torch.cat([t for t, _ in drawn]), theta).all()
    # pairs stay together: each drawn x is the one of its theta
    where = {float(t[1]): row for row, t in enumerate(theta)}
    for t, row in zip(*drawn[0], strict=True):
        assert torch.equal(x[where[float(t[1])]], row)


def test_passes_differ_and_equal_seeds_repeat_them(path):
    batches = StreamedBatches(path, size=1_000)
    rng = torch.Generator().manual_seed(3)
    drawn = [batches.draw(rng)[0] for _ in range(12)]
    again = StreamedBatches(path, size=1_000)
    rng = torch.Generator().manual_seed(3)
    assert all(torch.equal(theta, again.draw(rng)[0]) for theta in drawn)
    assert not torch.equal(drawn[0], drawn[5])


def test_the_loop_trains_on_a_store(path):
    line = torch.nn.Linear(1, 1, dtype=torch.float32)
    objective = lambda batch, step: (line(batch[0][:, :1]) - batch[1]).square().mean()
    batches = StreamedBatches(path, size=500, held_out=200, buffer=2)
    fit([Player("line", line, objective, adamw(0.05))], batches, steps=300, seed=1)
    assert line.weight.item() == pytest.approx(1.0, abs=0.2)  # E x = a, noise of variance 1


def test_batches_that_cannot_be_drawn_are_refused(path):
    with pytest.raises(ValueError, match="cannot be drawn from 5,120 rows"):
        StreamedBatches(path, size=6_000)
    with pytest.raises(ValueError, match="5,120 are held out"):
        StreamedBatches(path, size=10, held_out=N)


# Other tools.


def test_arrays_hold_everything(path):
    simulations = Simulations.open(path)
    arrays = simulations.to_numpy()
    assert (arrays["theta"] == simulations.theta.numpy()).all()
    np.testing.assert_array_equal(arrays["x"], simulations.x.numpy())
    assert arrays["names"].tolist() == ["a", "b"]


def test_xarray_names_the_parameters(path):
    simulations = Simulations.open(path)
    dataset = simulations.to_xarray()
    assert dataset.sizes == {"sample": N, "x_0": 2}
    assert (dataset["b"].values == simulations.theta[:, 1].numpy()).all()
    assert (dataset["status"].values == simulations.status).all()
    valid = dataset.where(dataset["status"] == "ok", drop=True)
    assert float(valid["a"].min()) >= 0.1


def test_parameters_of_names_that_xarray_needs_are_called_otherwise_there():
    names = ("x", "theta_x", "status", "sample", "x_0", "a")
    prior = {name: Normal(0.0, 1.0) for name in names}
    theta = torch.arange(6.0)[None] / 6
    dataset = Simulations.from_arrays(theta, [[9.0, 8.0]], prior=prior).to_xarray()
    written = ["theta_theta_x", "theta_x", "theta_status", "theta_sample", "theta_x_0", "a"]
    assert [float(dataset[name][0]) for name in written] == theta[0].tolist()
    assert dataset["x"].values.tolist() == [[9.0, 8.0]]


def test_arviz_gets_the_valid_rows(path):
    simulations = Simulations.open(path)
    data = simulations.to_arviz()
    failed = int((~simulations.valid).sum())
    assert data.prior["a"].size == N - failed
    assert data.prior_predictive["x"].size == (N - failed) * 2
    assert data.prior.attrs["failed"] == failed
