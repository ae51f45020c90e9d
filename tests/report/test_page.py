"""The page: whole or not at all, self-contained, with what was given and nothing else."""

import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from support import report_parts as parts

from lfi.inference import Draws
from lfi.report import page as page_module, write_report
from lfi.simulation import Prior
from lfi.training import History


@dataclass(frozen=True)
class PriorAsPosterior:
    """A posterior that learned nothing: its draws are the prior's."""

    prior: Prior = field(default_factory=parts.prior)
    normalised: bool = True
    history: tuple[History, ...] = ()

    def log_prob(self, theta, x_obs, *, normalise=False):
        return self.prior.log_prob(theta)

    def sample(self, n, x_obs, *, seed=None):
        return self.draw(n, x_obs, seed=seed).theta

    def draw(self, n, x_obs, *, seed=None) -> Draws:
        return parts.draws(n, seed=seed)


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, and whether each is closed in turn."""

    void = {"meta", "link", "img"}

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


SECTIONS = {
    "draws": ("posterior", parts.draws, 1),
    "observation": ("observation", parts.observation, 1),
    "predictive": ("prediction", parts.predictive, 1),
    "checks": ("calibration", parts.checks, 2),
    "local": ("local", parts.local, 1),
    "fidelity": ("surrogate", parts.fidelity, 1),
}


def everything():
    return {name: make() for name, (_, make, _) in SECTIONS.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.html"


def test_page_holds_every_part_and_is_well_formed(path):
    assert write_report(path, **everything(), units=parts.units, seed=1) == path
    page = Elements(path.read_text())
    assert [attrs["id"] for attrs in page.all("section")] == [
        *(anchor for anchor, _, _ in SECTIONS.values()),
        "provenance",
    ]
    assert len(page.all("img")) == sum(images for _, _, images in SECTIONS.values())
    assert page.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in page.all("meta")
    anchors = {attrs["href"] for attrs in page.all("a")}
    assert anchors == {f"#{attrs['id']}" for attrs in page.all("section")}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_part_may_stand_alone(path, name):
    anchor, make, images = SECTIONS[name]
    write_report(path, **{name: make()}, seed=1)
    page = Elements(path.read_text())
    assert [attrs["id"] for attrs in page.all("section")] == [anchor, "provenance"]
    assert len(page.all("img")) == images


def test_page_is_self_contained_and_runs_nothing(path):
    write_report(path, **everything(), seed=1)
    text = path.read_text()
    page = Elements(text)
    assert not page.all("script")
    for attrs in (attrs for _, attrs in page.found):
        address = attrs.get("src") or attrs.get("href") or "#"
        assert address.startswith(("#", "data:"))
    assert not re.findall(r"https?://|@import|url\(", text)
    for image in page.all("img"):
        assert image["alt"]
        assert int(image["width"]) > 0
        assert int(image["height"]) > 0
    assert len(text) < 3_000_000


def test_text_of_the_user_is_escaped(path):
    nasty = "<script>alert('&')</script>"
    draws = parts.draws(300, names=(nasty, "b", "c"))
    write_report(
        path, title=nasty, draws=draws, units={nasty: nasty}, command=nasty,
        settings={nasty: nasty}, seconds={nasty: 1.0}, seed=1,
    )  # fmt: skip
    text = path.read_text()
    assert nasty not in text
    assert not Elements(text).all("script")
    assert text.count("&lt;script&gt;") >= 8


def test_draws_are_taken_where_none_are_given(path):
    write_report(path, posterior=PriorAsPosterior(), x_obs=torch.zeros(3), seed=1)
    assert f"{page_module.DRAWS:,} posterior draws" in path.read_text()


def test_the_truncated_prior_is_shown_under_its_name_and_the_own_one_as_the_prior(path):
    narrow = parts.prior().truncate([-2.0, -5.0, 0.0], [2.0, 5.0, 9.0])
    posterior = PriorAsPosterior(prior=narrow)
    for own in (None, parts.prior()):
        write_report(path, posterior=posterior, draws=parts.draws(300), prior=own, seed=1)
        assert "prior truncated to" in path.read_text()
    write_report(path, posterior=posterior, draws=parts.draws(300), prior=narrow, seed=1)
    assert "truncated" not in path.read_text()  # the scientist has truncated it


def test_histories_of_posterior_have_titles(path):
    rounds = (parts.history(), parts.history())
    write_report(path, posterior=PriorAsPosterior(history=rounds), seed=1)
    text = path.read_text()
    assert "posterior, fit 1" in text
    assert "posterior, fit 2" in text
    assert [attrs["id"] for attrs in Elements(text).all("section")] == ["training", "provenance"]


def test_a_bad_check_stands_at_the_top(path):
    bad = parts.checks(ranks=torch.rand(500, 3) ** 3)
    write_report(path, draws=parts.draws(500), checks=bad, seed=1)
    top = path.read_text().split('<p class="verdict doubt">')[1].split("</p>")[0]
    assert top == f"Needs attention: {bad.verdict}."
    assert f"What to do: {bad.judgement.advice}." in path.read_text()


def test_what_is_not_assessed_is_green_nowhere(path):
    few = replace(parts.checks(), ess=3.0)
    write_report(path, checks=few, seed=1)
    text = path.read_text()
    assert '<p class="verdict unknown">Not assessed in full: calibration not assessed' in text
    assert 'class="good"' not in text


def test_the_same_seed_writes_the_same_page(path):
    draws, texts = parts.draws(300), []
    for seed in (1, 1, 2):
        write_report(path, posterior=PriorAsPosterior(), draws=draws, seed=seed)
        texts.append(re.sub(r">\d{4}-\d\d-\d\d \d\d:\d\d[^<]*<", "><", path.read_text()))
    assert texts[0] == texts[1] != texts[2]


def test_nothing_to_report_is_an_error(path):
    with pytest.raises(ValueError, match="there is nothing to report: give at least one of"):
        write_report(path)
    assert not path.exists()


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot write it: there is no folder .*nowhere"):
        write_report(tmp_path / "nowhere" / "report.html", draws=parts.draws(300))


def test_a_failed_write_leaves_the_old_page_and_nothing_else(path, monkeypatch):
    path.write_text("old")

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(page_module.os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_report(path, draws=parts.draws(300), seed=1)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_place_without_room_is_told_before_anything_is_computed(tmp_path):
    class Never(PriorAsPosterior):
        def draw(self, *args, **options):
            raise AssertionError("drawn before the place was looked at")

    for place in (tmp_path, Path("/proc/report.html")):
        with pytest.raises(OSError, match="cannot write it"):
            write_report(place, posterior=Never(), x_obs=torch.zeros(2))
