"""Results on a screen and in a notebook: words and numbers, no module trees and no tensors."""

from html.parser import HTMLParser

import pytest
from support.fitted_parts import fitted
from support.good_calls import good_calls
from torch import nn

import lfi
from lfi.runtime import Described

PARTS = [
    "ratio_posterior",
    "flow_posterior",
    "likelihood_posterior",
    "generated_posterior",
    "simulator",
    "simulations",
    "draws",
    "abc",
    "distance",
    "lfire",
    "checks",
    "local_checks",
    "ratio",
    "density",
    "kernel_ratio",
    "telescoping",
    "implicit",
    "expert",
    "policy",
    "optimum",
    "generator",
    "autoencoder",
    "flow_generator",
    "conditional",
    "surrogate",
]
LINES, CHARACTERS = 25, 120
DUMPS = ("tensor(", "Parameter containing", "array(", "(0): ", "Linear(", "state_dict")


def check_screen(result, name):
    text = repr(result)
    lines = text.splitlines()
    assert 0 < len(lines) <= LINES and max(map(len, lines)) <= CHARACTERS, (name, text)
    assert not [dump for dump in DUMPS if dump in text], (name, text)


@pytest.mark.parametrize("name", PARTS)
def test_public_results_are_a_screen_of_words_and_numbers(name):
    """Line 12 of a first day: posteriors printed module trees, records and draws tensors."""
    result = fitted()[name]
    check_screen(result, name)
    if isinstance(result, nn.Module):
        assert isinstance(result, Described)
    if isinstance(result, Described):
        described = result.describe()
        assert len(described) < 10_000 and not [dump for dump in DUMPS if dump in described]
        parser, shown = HTMLParser(), []
        parser.handle_data = shown.append
        parser.feed(result._repr_html_())
        assert shown[0] == described.splitlines()[0]


@pytest.mark.slow
def test_whatever_a_public_call_returns_is_a_screen_of_words_and_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some calls save what they were given
    seen = set()
    for call in good_calls():
        try:
            result = call.function(**call.arguments)
        except Exception:  # some calls are right but for a file that is not there
            continue
        for each in result if isinstance(result, tuple) else (result,):
            if type(each).__module__.startswith("lfi.") and isinstance(each, Described):
                check_screen(each, call.name)
                seen.add(type(each).__name__)
    assert len(seen) > 30


def test_a_long_description_is_cut_where_a_screen_ends_and_told_in_full():
    class Long(Described):
        def describe(self):
            return "\n".join(["verdict", *(f"  {i}: " + "words " * 40 for i in range(20))])

    shown = repr(Long()).splitlines()
    assert len(shown) == LINES and max(map(len, shown)) <= 120
    assert shown[0] == "verdict" and shown[1].startswith("  0: words")
    assert shown[2].startswith("      words") and "describe() has them all" in shown[-1]


def test_settings_name_what_differs_from_their_defaults():
    assert repr(lfi.Pool()) == "Pool()"
    assert repr(lfi.NeuralRatio(loss=lfi.losses.Brier())) == "NeuralRatio(loss=Brier())"
    few = lfi.samplers.HMC(chains=4)
    assert repr(few) == "HMC(chains=4)" and few == eval("lfi.samplers." + repr(few))
