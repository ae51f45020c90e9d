"""Progress: what a terminal, a notebook, a file and the log are told of work under way."""

import io
import logging
import sys
from contextlib import redirect_stderr
from types import SimpleNamespace

import pytest

from lfi.runtime import bar, bars, progress, within

NOTEBOOK = """
import time, torch, lfi
def slow(theta):
    time.sleep(0.01)
    return theta
pendulum = lfi.Simulator(slow, prior={"a": torch.distributions.Normal(0.0, 1.0)}, batched=False)
with lfi.runtime.within("round 2 of 3"):
    simulations = lfi.simulate(pendulum, 150, seed=1)
"""


class Screen(io.StringIO):
    """A terminal without its user."""

    def isatty(self):
        return True

    def lines(self):
        """What stands on the screen: of the control sequences that are used, those that move."""
        rows, row = [""], 0
        text = self.getvalue()
        while text:
            if text.startswith("\x1b["):
                end = next(i for i, c in enumerate(text) if c.isalpha())
                number, what = text[2:end], text[end]
                row -= int(number or 1) if what == "A" else 0
                rows[row] = "" if what == "K" else rows[row]
                text = text[end + 1 :]
                continue
            if text[0] == "\n":
                row += 1
                rows += [""] * (row == len(rows))
            elif text[0] != "\r":
                rows[row] += text[0]
            text = text[1:]
        return [row.rstrip() for row in rows if row.strip()]


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Screen()


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, and no time of work since the last line."""
    made = SimpleNamespace(now=0.0)
    fake = SimpleNamespace(monotonic=lambda: made.now)
    monkeypatch.setattr(progress, "time", fake)
    monkeypatch.setattr(bars, "time", fake)
    monkeypatch.setattr(bars.silence, "before", 0.0)
    return made


def test_a_terminal_shows_round_stage_and_count_and_a_warning_does_not_tear_the_bar(screen):
    fitting = bar("fitting the likelihood", 4)
    with redirect_stderr(screen), within("round 2 of 3"), fitting as advance:
        for i in range(4):
            advance(1, f"held-out {i}")
            if i == 1:
                sys.stderr.write("UserWarning: few draws\n")
    warned, shown = screen.lines()
    assert warned == "UserWarning: few draws"
    assert shown.startswith("round 2 of 3: fitting the likelihood ━━━")
    assert "4 of 4, 0." in shown and shown.endswith("held-out 3")


def test_a_bar_inside_another_is_not_shown(screen):
    with redirect_stderr(screen), bar("outside", 1), bar("inside", 1):
        pass
    assert [line.split()[0] for line in screen.lines()] == ["outside"]


def test_a_name_with_brackets_is_shown_as_it_is(screen):
    with redirect_stderr(screen), bar("simulating [red]x[/red]", None):
        pass
    assert screen.lines()[0].startswith("simulating [red]x[/red]")


def test_a_file_gets_a_line_every_half_minute_and_one_at_the_end(clock):
    piped = io.StringIO()
    with redirect_stderr(piped), bar("simulating pendulum", 1_200) as advance:
        for second in range(1, 61):
            clock.now = float(second)
            advance(10, "10/s")
    assert piped.getvalue().splitlines() == [
        "lfi: simulating pendulum: 300 of 1,200, 30 s, 1 min 30 s left, 10/s",
        "lfi: simulating pendulum: 600 of 1,200, 1 min 0 s, 1 min 0 s left, 10/s",
        "lfi: simulating pendulum: 600 of 1,200, 1 min 0 s, 10/s",
    ]


def test_short_stages_add_up_to_a_line_and_rests_between_them_do_not(clock):
    piped = io.StringIO()
    for stage in range(7):
        with redirect_stderr(piped), bar(f"stage {stage}", 10) as advance:
            for _ in range(10):
                clock.now += 0.5
                advance()
        clock.now += 100.0
    first, last = piped.getvalue().splitlines()
    # six stages of 5 s reach half a minute with the last step of the sixth
    assert first == last == "lfi: stage 5: 10 of 10, 5.0 s"


def test_the_time_left_does_not_count_what_was_done_before(clock):
    piped = io.StringIO()
    with redirect_stderr(piped), bar("simulating pendulum", 1_000, done=900) as advance:
        clock.now = 30.0
        advance(50)
    assert piped.getvalue().splitlines()[0].endswith("950 of 1,000, 30 s, 30 s left")


def test_the_log_has_a_line_at_the_beginning_and_the_end_of_each_stage(caplog, clock):
    with caplog.at_level(logging.INFO, "lfi"), within("round 2 of 3"):
        fitting = bar("fitting the ratio", 100, show=False)
        with fitting as advance, bar("inside, a detail", 1, show=False):
            clock.now = 7.5
            advance(100, "held-out 0.5123")
    assert [record.getMessage() for record in caplog.records] == [
        "round 2 of 3: fitting the ratio: begins, 100 in all",
        "round 2 of 3: fitting the ratio: 100 of 100, 7.5 s, held-out 0.5123",
    ]


def test_the_log_says_how_a_stage_was_ended(caplog, clock):
    caplog.set_level(logging.INFO, "lfi")
    stage = bar("simulating pendulum", 100, show=False)
    with pytest.raises(KeyboardInterrupt), stage as advance:
        advance(40)
        raise KeyboardInterrupt
    last = caplog.records[-1].getMessage()
    assert last == "simulating pendulum: ended by KeyboardInterrupt, 40 of 100, 0.0 s"


def test_nothing_is_shown_that_nobody_asks_for(screen):
    with redirect_stderr(screen), bar("simulating", 10, show=False) as advance:
        advance(10)
    assert screen.getvalue() == ""


def test_the_log_is_silent_until_a_handler_is_given():
    assert any(isinstance(each, logging.NullHandler) for each in logging.getLogger("lfi").handlers)


@pytest.mark.slow
def test_a_notebook_of_a_real_kernel_shows_a_bar_that_moves():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    seen = []

    class Client(nbclient.NotebookClient):
        def process_message(self, message, cell, index):
            seen.append(message)
            return super().process_message(message, cell, index)

    cell = nbformat.v4.new_code_cell(NOTEBOOK)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    Client(notebook, timeout=300, kernel_name="python3").execute()
    shown = [m["content"]["data"] for m in seen if "display_data" in m["msg_type"]]
    title = "round 2 of 3: simulating slow"
    assert all(title in each["text/plain"] and "<progress" in each["text/html"] for each in shown)
    counts = [int(each["text/plain"].split()[6]) for each in shown]
    assert counts[0] == 0 and 0 < counts[1] < 150 and counts[-1] == 150
    assert "left" in shown[1]["text/plain"]
    (output,) = cell.outputs  # updates stand in its place
    assert output["data"]["text/plain"].startswith(f"{title}: 150 of 150, ")
    assert "value='150' max='150'" in output["data"]["text/html"]
