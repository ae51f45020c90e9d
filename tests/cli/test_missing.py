"""Observations with missing entries: what is left out, said, kept and asked about."""

import html
import json

import numpy as np
import pytest
import torch
from support.partly_observed import DEVIATIONS, SLOPES, exact_posterior
from support.small_steps import QUICK

import lfi
from lfi.cli import workflow

SMALL = ("--budget", 400, "--rounds", 1)
NAN = float("nan")
LINEAR = f'''
"""Five numbers, linear in two parameters."""
import torch
from torch.distributions import Normal
prior = {{"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)}}
x_names = ("p", "q", "r", "s", "t")
slopes = torch.tensor({SLOPES.tolist()})
deviations = torch.tensor({DEVIATIONS.tolist()})
def simulate(theta, rng: torch.Generator):
    return theta @ slopes.T + deviations * torch.randn(len(theta), 5, generator=rng)
'''
TABLE = """
import torch
from torch.distributions import Uniform
prior = {"shift": Uniform(-0.5, 0.5)}
def simulate(theta):
    return theta[:, :, None] + torch.arange(8.0).reshape(4, 2) + 0 * torch.rand(len(theta), 4, 2)
"""
X_OBS = torch.tensor([1.0, -0.5, NAN, 2.0, NAN], dtype=torch.float64)
WORDS = "missing in the observation, and left out of all that is simulated: 2 of 5 entries"


@pytest.fixture
def linear(small, call, tmp_path):
    """Call lfi beside linear.py and its data x.csv; return the steps, the output and the errors."""
    (tmp_path / "linear.py").write_text(LINEAR)
    (tmp_path / "x.csv").write_text("day;mass\n1;1,0\n2;-0,5\n3;NA\n4;2,0\n5;\n")

    def run(*arguments, code=0):
        small.clear()
        found, out, err = call(*arguments)
        assert code is None or found == code, err
        return list(small), out, err

    return run


DATA = ("--observation", "x.csv", "--column", "mass")


def test_missing_entries_are_named_and_left_out_in_every_step(linear, tmp_path):
    begin = ("simulate", "linear.py", "--out", "out", *DATA, *SMALL)
    assert f"{WORDS} (line 4, mass; line 6, mass)" in linear(*begin)[1]
    folder = tmp_path / "out"
    assert lfi.simulation.Simulations.open(folder / "rounds" / "round_1.zarr").x.shape[1:] == (3,)
    linear("fit", "out")
    linear("sample", "out", "--draws", 200)
    linear("check", "out", code=None)
    linear("surrogate", "out")
    linear("report", "out")
    assert lfi.load(folder / "posterior.lfi").x_shape == (3,)
    assert lfi.load(folder / "surrogate.lfi")(torch.zeros(4, 2)).shape == (4, 3)
    predictive = lfi.runtime.read(folder / "results" / "predictive.lfi").tensors
    assert torch.equal(predictive["x_obs"], X_OBS[~X_OBS.isnan()])
    assert predictive["x"].shape[1:] == (3,)
    page = html.unescape((folder / "report.html").read_text())
    assert "Data: 3 numbers, p, q, r, s, t, from x.csv. Missing, and left out of all" in page
    assert "simulations shown here: 2 of 5 entries." in page
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["missing"] == ["line 4, mass", "line 6, mass"]

    computed, out, _ = linear("run", "linear.py", "--out", "out")  # the file is read again
    assert computed == [] and "(line 4, mass; line 6, mass)" in out


def test_another_pattern_of_missing_entries_is_another_run(linear, tmp_path):
    again = ("simulate", "linear.py", "--out", "out")
    linear(*again, *DATA, *SMALL)
    file, text = tmp_path / "x.csv", (tmp_path / "x.csv").read_text()
    file.write_text(text.replace("2,0", "NA"))
    _, _, err = linear(*again, code=2)
    words = "simulations of other entries of x (2 of 5 missing, now 3 of 5 missing): --restart"
    assert words in err
    file.write_text(text.replace("-0,5", "-0,4"))  # other values of the same entries
    assert linear(*again)[0] == []
    assert "the first round are used again" in linear(*again, "--restart")[1]
    file.write_text(text.replace("NA", "0,3").replace("5;", "5;0,1"))
    assert "(2 of 5 missing, now none missing)" in linear(*again, code=2)[2]
    _, out, _ = linear(*again, "--restart")
    assert "used again" not in out and "missing in" not in out
    store = tmp_path / "out" / "rounds" / "round_1.zarr"
    assert lfi.simulation.Simulations.open(store).x.shape[1:] == (5,)


def test_another_observation_of_the_same_entries_is_another_fit(linear, tmp_path):
    linear("simulate", "linear.py", "--out", "out", *DATA, *SMALL)
    linear("fit", "out")
    file = tmp_path / "x.csv"
    file.write_text(file.read_text().replace("-0,5", "-0,4"))
    _, _, err = linear("sample", "out", code=2)
    assert "another observation" in err and "other entries" not in err


def test_the_x_obs_of_a_file_may_have_missing_entries_too(linear, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(LINEAR + "x_obs = torch.tensor([1.0, -0.5, torch.nan, 2.0, torch.nan])\n")
    assert f"{WORDS} (entry 3; entry 5)" in linear("simulate", "own.py", *SMALL)[1]
    assert linear("fit", "runs/own")[0] == ["fit"]
    assert lfi.load("runs/own/posterior.lfi").x_shape == (3,)
    path.write_text(LINEAR + "x_obs = torch.full((5,), torch.nan)\n")
    _, _, err = linear("fit", "runs/own", code=2)
    assert "x_obs of own: all 5 entries are missing" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["x.json", "x.npy"])
def test_a_table_with_gaps_becomes_a_vector_of_what_was_observed(name, linear, tmp_path):
    (tmp_path / "table.py").write_text(TABLE)
    table = [[1.0, 2.0], [NAN, 0.1], [0.2, 0.3], [0.4, NAN]]
    if name == "x.npy":
        np.save(tmp_path / name, np.array(table))
    else:
        (tmp_path / name).write_text(json.dumps(table).replace("NaN", "null"))
    _, out, _ = linear("simulate", "table.py", "--observation", name, *SMALL)
    assert "2 of 8 entries (entry 2, 1; entry 4, 2)" in out
    x = lfi.simulation.Simulations.open("runs/table/rounds/round_1.zarr").x
    assert x.shape[1:] == (6,)
    assert (x.min(0).values > torch.tensor([0, 1, 3, 4, 5, 6]) - 0.5).all()  # places in order
    assert (x.max(0).values < torch.tensor([0, 1, 3, 4, 5, 6]) + 0.5).all()


def test_the_posterior_is_that_of_the_observed_entries(linear, monkeypatch, tmp_path):
    method = lfi.PosteriorFlow(
        settings=lfi.TrainSettings(steps=QUICK.settings.steps),
        gaussian_steps=600,
        width=8,
        couplings=1,
    )
    monkeypatch.setattr(workflow, "METHODS", {"pool": lambda: method})
    linear("simulate", "linear.py", "--out", "out", *DATA, "--budget", 6_000, "--rounds", 1)
    linear("fit", "out")
    linear("sample", "out", "--draws", 4_000)
    theta = lfi.runtime.read(tmp_path / "out" / "results" / "draws.lfi").tensors["theta"].double()
    truth = exact_posterior(X_OBS)
    # a regression of theta on three numbers, of 5,400 simulations, errs at x_obs by
    # sqrt((1 + 3) / 5,400) = .03 sd, and the mean of 4,000 draws by .02: five of both are .17 sd;
    # a deviation by less
    assert ((theta.mean(0) - truth.mean) / truth.stddev).abs().max() < 0.17
    assert (theta.std(0) / truth.stddev - 1).abs().max() < 0.17
    other = exact_posterior(torch.tensor([1.0, -0.5, 0.0, 2.0, 0.0]))  # zeros taken for data
    assert (other.stddev / truth.stddev - 1).abs().max() > 0.17
