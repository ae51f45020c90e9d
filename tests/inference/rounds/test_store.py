"""The folder of rounds: another call's is refused, and a method that cannot be kept."""

import json

import pytest
import torch

import lfi
from lfi.inference.posteriors.kept import check_restorable
from lfi.inference.rounds.fit import simulation_seed
from lfi.inference.rounds.store import agreed_seed
from lfi.networks import PairCritic


def test_another_observation_is_another_call(tmp_path):
    agreed_seed(tmp_path, {"x_obs": "a"}, 1)
    (tmp_path / "round_1.lfi").write_text("")
    with pytest.raises(ValueError, match="another x_obs"):
        agreed_seed(tmp_path, {"x_obs": "b"}, 1)


def test_a_store_in_which_nothing_succeeded_is_not_lost(tmp_path):
    """A simulator that fails at all parameters, then the mended one, in one folder."""
    prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
    failing = lfi.Simulator(lambda theta: theta / 0, prior=prior)
    mended = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior=prior)
    quick = lfi.PosteriorFlow(gaussian_steps=2, settings=lfi.TrainSettings(steps=2), width=8)
    given = {"store": tmp_path / "rounds", "budget": (200,), "method": quick, "progress": False}
    with pytest.raises(RuntimeError, match="no finite x in its first 1,024 simulations"):
        lfi.fit_rounds(failing, torch.zeros(1), seed=1, **given)
    posterior = lfi.fit_rounds(mended, torch.zeros(1), seed=2, **given)
    assert posterior.names == ("mean",)
    with pytest.raises(ValueError, match="another seed, simulator"):  # now there is something
        lfi.fit_rounds(failing, torch.zeros(1), seed=3, **given)


def test_simulations_of_the_first_round_alone_are_taken(tmp_path):
    prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
    noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior=prior)
    store = tmp_path / "rounds" / "round_1.zarr"
    lfi.simulate(noisy, 200, seed=simulation_seed(1, 0), store=store, progress=False)
    before = (store / "finished.json").read_bytes()
    quick = lfi.PosteriorFlow(gaussian_steps=2, settings=lfi.TrainSettings(steps=2), width=8)
    given = {"budget": (200,), "method": quick, "seed": 1, "progress": False}
    lfi.fit_rounds(noisy, torch.zeros(1), store=tmp_path / "rounds", **given)
    assert (store / "finished.json").read_bytes() == before


def test_rounds_without_their_record_are_refused(tmp_path):
    (tmp_path / "round_1.lfi").write_text("")
    with pytest.raises(ValueError, match="without their record"):
        agreed_seed(tmp_path, {"budget": 1}, 1)


def test_a_damaged_record_is_said_to_be(tmp_path):
    agreed_seed(tmp_path, {"budget": 1}, 1)
    for text in (json.dumps([1])[:-1], "[]", "7", "[" * 10**5):
        (tmp_path / "rounds.json").write_text(text)
        for seed in (1, None):
            with pytest.raises(ValueError, match="damaged"):
                agreed_seed(tmp_path, {"budget": 1}, seed)


def own_critic():
    return PairCritic([0.0], [1.0], (2,), width=8)


@pytest.mark.parametrize(
    "method",
    [
        lfi.NeuralRatio(),
        lfi.NeuralRatio(critic=own_critic()),
        lfi.NeuralRatio(embedding=lfi.embeddings.SeriesEmbedding((8,))),
        lfi.PosteriorFlow(),
        lfi.SurrogateLikelihood(),
        lfi.Pool(),
    ],
    ids=lambda method: type(method).__name__,
)
def test_what_a_file_brings_back_is_welcome(method):
    check_restorable("method", method)


@pytest.mark.parametrize(
    "method",
    [
        lfi.NeuralRatio(embedding=torch.nn.Flatten()),
        lfi.NeuralRatio(critic=torch.nn.Linear(1, 1)),
        lfi.NeuralRatio(critic=PairCritic([0.0], [1.0], (2,), embedding=torch.nn.Flatten())),
        lfi.Pool((lfi.PosteriorFlow(), lfi.NeuralRatio(embedding=torch.nn.Flatten()))),
    ],
    ids=["embedding", "critic", "critic with an embedding", "pool"],
)
def test_networks_that_a_file_cannot_name_are_refused(method):
    with pytest.raises(
        ValueError, match=f"preliminary: .*{type(method).__name__}.*without a store"
    ):
        check_restorable("preliminary", method)


def test_a_method_that_says_nothing_of_files_is_refused():
    with pytest.raises(ValueError, match="method: .*object"):
        check_restorable("method", object())
