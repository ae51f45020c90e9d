"""The report in a browser: every figure is there, nothing is fetched, nothing is complained of.

Needs Debian's packages chromium and chromium-driver. Without them the test is skipped; with
LFI_REQUIRE_BROWSER set it fails instead.
"""

import base64
import os
import re
import shutil

import pytest
import torch
from matplotlib.figure import Figure
from support import report_parts as parts

from lfi.report import ReportTable, Section, embed, write_report
from lfi.simulation import Simulator

BROWSER = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,900",
)


@pytest.fixture
def browser(tmp_path, monkeypatch):
    if not (BROWSER and DRIVER):
        missing = "needs chromium and chromedriver: apt-get install chromium chromium-driver"
        if os.environ.get("LFI_REQUIRE_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    from selenium import webdriver

    monkeypatch.setenv("SE_OFFLINE", "true")  # selenium fetches no driver and tells nobody
    monkeypatch.setenv("SE_AVOID_STATS", "true")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()
    driver.command_executor.close()


LOOK = """
const wide = document.documentElement.clientWidth, found = {wide: [], small: [], cut: []};
const inScroll = e => e.closest('.scroll') !== null;
for (const e of document.querySelectorAll('body *')) {
  const box = e.getBoundingClientRect();
  if (box.width === 0 || e.closest('svg svg')) continue;
  if (!inScroll(e) && !(e instanceof SVGElement && e.tagName !== 'svg') && box.right > wide + 1)
    found.wide.push(e.tagName + ' ' + e.className + ' to ' + box.right);
}
for (const svg of document.querySelectorAll('svg')) {
  const box = svg.getBoundingClientRect();
  if (box.width === 0) continue;
  const scale = box.width / svg.viewBox.baseVal.width;
  for (const text of svg.querySelectorAll('text')) {
    const height = parseFloat(getComputedStyle(text).fontSize) * scale;
    if (height < 9) found.small.push(height.toFixed(2) + ': ' + text.textContent);
    const at = text.getBoundingClientRect();
    if (at.left < box.left - 2 || at.right > box.right + 2)
      found.cut.push(text.textContent + ' in ' + svg.getAttribute('aria-label'));
  }
}
found.shown = Array.from(document.querySelectorAll('svg'))
  .filter(s => s.getBoundingClientRect().width > 0).length;
found.paper = getComputedStyle(document.body).backgroundColor;
found.ink = getComputedStyle(document.querySelector('svg text')).fill;
found.page = document.documentElement.scrollWidth <= wide;
return found;
"""


def show(browser, width, mode="light"):
    """Give the window a width in CSS pixels, which windows cannot have below 500."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    theme = [{"name": "prefers-color-scheme", "value": mode}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})


def luminance(colour):
    """The relative luminance of a colour such as "rgb(1, 2, 3)", as WCAG defines it."""
    parts_ = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts_]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def cut_on_paper(browser):
    """What is wider than A4 less the page's margins, as the page is laid out for paper."""
    show(browser, round((21.0 - 3.0) / 2.54 * 96))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    return browser.execute_script(
        "const w = document.documentElement.clientWidth;"
        "return Array.from(document.querySelectorAll('svg, table, table *, pre, p'))"
        ".map(e => [e.tagName, e.getBoundingClientRect().right])"
        ".filter(([_, right]) => right > w + 1)"
    )


def whole(path):
    names = ("shift", "drift", NASTY)
    figure = Figure(figsize=(12, 2))  # of the user's own, wider than any column
    figure.subplots().plot(torch.rand(6_000), ".")
    wards = ReportTable(("ward", *("a long heading" for _ in range(9))), (("A",) * 10,), "Wards.")
    own = Section("wards", "Wards", blocks=(embed(figure, "All wards", "Wards."), wards))
    return write_report(
        path,
        title="A <report> & its figures",
        prior=parts.prior(),
        simulator=NAMED,
        data="a file.csv",
        draws=parts.draws(),
        observation=parts.observation(event=(10, 2)),
        predictive=parts.predictive(event=(10, 2)),
        checks=parts.checks(names=names),
        local=parts.local(),
        fidelity=parts.fidelity(event=(10, 2)),
        posterior=None,
        units=parts.units,
        command="lfi run 'a file' --out b",
        settings={"simulations": "10,000"},
        seconds={"fit": 12.0},
        sections=[own],
        seed=1,
    )


NASTY = "<script>alert(1)</script>"
NAMED = Simulator(lambda theta: theta, prior=parts.prior(), name="drift").with_labels(
    x_names=("east", NASTY), x_axis=("day", range(10)), x_units="m"
)


def test_report_opens_with_all_its_figures_and_no_complaint(browser, tmp_path):
    browser.get(whole(tmp_path / "report.html").as_uri())
    assert browser.title == "A <report> & its figures"
    assert browser.execute_script("return document.scripts.length") == 0
    words = browser.execute_script("return document.body.textContent")
    assert words.count(NASTY) >= 4  # in tables and in figures, as text
    assert browser.get_log("browser") == []
    requests = [
        entry["message"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert any('"url":"file:' in message for message in requests)  # so they are recorded
    assert not [message for message in requests if '"url":"http' in message]


def test_report_reads_on_a_telephone_and_a_desk_by_day_and_by_night(browser, tmp_path):
    browser.get(whole(tmp_path / "report.html").as_uri())
    for width in (390, 700, 1000, 1400):
        for mode in ("light", "dark"):
            show(browser, width, mode)
            found = browser.execute_script(LOOK)
            assert found["page"], width
            assert found["wide"] == [], width
            assert found["small"] == [], width
            assert found["cut"] == [], width
            assert found["shown"] == 8  # one of each pair, and the user's own
            paper, ink = luminance(found["paper"]), luminance(found["ink"])
            assert (paper > ink) == (mode == "light")
            light, dark = sorted((paper, ink), reverse=True)
            assert (light + 0.05) / (dark + 0.05) > 4.5  # WCAG's contrast of text
    assert browser.get_log("browser") == []


def test_many_parameters_read_on_a_telephone_too(browser, tmp_path):
    names = [f"parameter_{i}" for i in range(9)] + ["a_name_" * 9]
    draws = parts.draws(names=names, theta=torch.randn(2_000, 10) * 1e-3 + 1)
    checks = parts.checks(names=names)
    units = {name: "1/(thousand lynx pelts year)" for name in names}
    given = {"draws": draws, "checks": checks, "units": units}
    path = write_report(tmp_path / "r.html", **given, seed=1)
    browser.get(path.as_uri())
    for width in (390, 1400):
        show(browser, width)
        found = browser.execute_script(LOOK)
        assert (found["wide"], found["small"], found["cut"]) == ([], [], []), width
    assert cut_on_paper(browser) == []


def test_report_prints_without_cutting(browser, tmp_path):
    browser.get(whole(tmp_path / "report.html").as_uri())
    assert cut_on_paper(browser) == []
    shown = browser.execute_script(
        "return Array.from(document.querySelectorAll('svg'))"
        ".filter(s => s.getBoundingClientRect().width > 0).length"
    )
    assert shown == 8
    printed = base64.b64decode(browser.print_page())
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 4
