"""The report in a browser: every figure is there, nothing is fetched, nothing is complained of.

Needs Debian's packages chromium and chromium-driver. Without them the test is skipped; with
LFI_REQUIRE_BROWSER set it fails instead.
"""

import os
import shutil

import pytest
from support import report_parts as parts

from lfi.report import write_report

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
    "--window-size=1000,900",
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


def test_report_opens_with_all_its_figures_and_no_complaint(browser, tmp_path):
    path = write_report(
        tmp_path / "report.html",
        title="A <report> & its figures",
        draws=parts.draws(),
        checks=parts.checks(),
        predictive=parts.predictive(),
        fidelity=parts.fidelity(),
        units=parts.units,
        command="lfi run 'a file' --out b",
        seed=1,
    )
    browser.get(path.as_uri())

    assert browser.title == "A <report> & its figures"
    figures = browser.execute_script(
        "return Array.from(document.images).map(i => "
        "[i.complete, i.naturalWidth, i.getBoundingClientRect().width, i.alt])"
    )
    assert len(figures) == 5
    for complete, pixels, shown, alt in figures:
        assert complete
        assert pixels > shown > 200, alt  # sharp, and large enough to read

    assert browser.get_log("browser") == []
    requests = [
        entry["message"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert any('"url":"file:' in message for message in requests)  # so they are recorded
    assert not [message for message in requests if '"url":"http' in message]

    for width in (1000, 420):  # a desk and a telephone: the page itself never scrolls sideways
        browser.set_window_size(width, 900)
        page = "document.documentElement"
        assert browser.execute_script(f"return {page}.scrollWidth <= {page}.clientWidth"), width
