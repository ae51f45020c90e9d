"""What a new user met on a first day, and what is there instead."""

import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import arviz
import numpy as np
import pandas
import pytest
import torch
from support.fitted_parts import ADVERSARIAL, PRIOR, QUIET, fitted

import lfi

FILES = {"lfi", "zarr", "md", "py", "csv", "nc"}
RESOLVE = """
import sys, lfi
for path in sys.stdin.read().split():
    place = lfi
    for name in path.split(".")[1:]:
        if not hasattr(place, name):
            print(path)
            break
        place = getattr(place, name)
"""


def test_every_name_that_docstrings_write_out_resolves_after_import_lfi():
    """Line 11: `lfi.networks` was an AttributeError, and docstrings name such paths."""
    room = Path(lfi.__file__).parent
    texts = [path.read_text() for path in room.rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"`(lfi(?:\.\w+)+)", text)}
    found = {name for name in named if name.rpartition(".")[2] not in FILES}
    assert len(found) > 80
    rooms = {f"lfi.{path.name}" for path in room.iterdir() if (path / "__init__.py").exists()}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RESOLVE],
        input="\n".join(sorted(found | rooms)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stdout, done.stdout


def test_arrays_in_place_of_simulations_lead_to_from_arrays():
    """Line 14: 'tuple' object has no attribute 'ok'."""
    simulations = fitted()["simulations"]
    with pytest.raises(TypeError, match=r"lfi\.Simulations\.from_arrays") as caught:
        lfi.fit_posterior((simulations.theta, simulations.x))
    said = str(caught.value)
    assert said.startswith("simulations must be a Simulations") and len(said) < 250
    assert "a tuple of a Tensor of torch.float" in said


def test_numpy_arrays_and_data_frames_are_taken_and_tensors_come_back():
    """Line 15: simulators, surrogates, discrepancies and generators wanted tensors."""
    parts = fitted()
    theta, p, q = parts["theta"].numpy(), parts["p"].numpy(), parts["q"].numpy()
    for simulator in (parts["simulator"], parts["surrogate"]):
        for rows in (theta, theta.tolist(), pandas.DataFrame(theta, columns=["a", "b"])):
            x = simulator(rows, seed=1)
            torch.testing.assert_close(x, simulator(parts["theta"], seed=1), check_dtype=False)
    for name in ("MMD", "Energy", "Sinkhorn", "Moments"):
        discrepancy = getattr(lfi.discrepancies, name)()
        assert torch.equal(discrepancy(p, q), discrepancy(parts["p"], parts["q"]))
    quick = {"settings": ADVERSARIAL, **QUIET}
    expected = lfi.fit_generator(parts["p"], **quick).sample(3, seed=1)
    assert torch.equal(lfi.fit_generator(p, **quick).sample(3, seed=1), expected)
    frame = pandas.DataFrame(p, columns=["a", "b"])
    assert len(lfi.fit_generator(frame, **quick).sample(3, seed=1)) == 3
    assert torch.equal(parts["ratio"].log_ratio(p), parts["ratio"].log_ratio(parts["p"]))


MISTAKES = {
    "from_command": (
        lambda s, post: lfi.Simulator.from_command("./nope {a} {b}", prior=PRIOR),
        FileNotFoundError,
        r"command: the program \./nope is not there, in /",
    ),
    "sample": (lambda s, post: post.sample("abc"), TypeError, "n must be a whole number, got"),
    "method by name": (
        lambda s, post: lfi.fit_posterior(s, method="NPE"),
        TypeError,
        r"method must be a method \(such as lfi\.NeuralRatio\(\)\), got 'NPE'",
    ),
    "method by class": (
        lambda s, post: lfi.fit_posterior(s, method=lfi.NeuralRatio),
        TypeError,
        r"got the class NeuralRatio: give an instance, NeuralRatio\(\)",
    ),
}


@pytest.mark.parametrize(("call", "error", "says"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_of_a_first_day_are_told_in_a_line(call, error, says):
    """Line 23: a file error without the name, and errors of torch and Python."""
    with pytest.raises(error, match=says) as caught:
        call(fitted()["simulations"], fitted()["ratio_posterior"])
    assert "\n" not in str(caught.value)


def test_seeds_are_numbers_or_generators_by_one_name():
    """Line 24: priors wanted `rng=`."""
    prior = fitted()["simulator"].prior
    assert torch.equal(prior.sample(3, seed=1), prior.sample(3, seed=1))
    assert torch.equal(*(prior.sample(3, seed=np.random.default_rng(1)) for _ in range(2)))


@pytest.mark.parametrize("name", ["fit_rounds", "fit_posterior", "fit_generator", "abc_smc"])
def test_help_shows_no_long_defaults(name):
    """Line 24: `help(lfi.fit_rounds)` printed two whole representations of methods."""
    shown = io.StringIO()
    with redirect_stdout(shown):
        help(getattr(lfi, name))
    signature = " ".join(shown.getvalue().partition("->")[0].split())
    defaults = [part.partition(" = ")[2] for part in re.split(r", (?=\w+: )", signature)]
    assert any(defaults) and max(map(len, defaults)) < 200


def test_what_a_posterior_can_do_is_documented():
    """Line 24: what a Posterior can do stood nowhere."""
    named = re.findall(r"`(\w+)\(", lfi.Posterior.__doc__)
    assert {"predictive", "to_arviz", "mode", "trials", "condition"} <= set(named)
    assert all(hasattr(fitted()["flow_posterior"], name) for name in named)


def test_a_posterior_file_for_arviz_is_summarised_without_a_complaint(tmp_path, capfd):
    """Line 22: "Shape validation failed ... minimum chains 2"."""
    parts = fitted()
    data = parts["flow_posterior"].to_arviz(parts["x_obs"], draws=400, seed=1)
    data.to_netcdf(str(tmp_path / "posterior.nc"), engine="h5netcdf")
    again = arviz.from_netcdf(str(tmp_path / "posterior.nc"), engine="h5netcdf")
    table = arviz.summary(again)
    arviz.plot_pair(again)
    assert not "".join(capfd.readouterr()) and table["r_hat"].notna().all()
