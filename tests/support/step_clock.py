"""A clock for tests of limited time: a batch takes one second, and a look at the clock a tick."""

from lfi.training import Shuffled, step_limits


class StepClock:
    """Seconds since it was made."""

    def __init__(self, monkeypatch, tick=0.0):
        self.seconds, self.tick, draw = 0.0, tick, Shuffled.draw

        def counted(batches, rng):
            self.seconds += 1
            return draw(batches, rng)

        monkeypatch.setattr(Shuffled, "draw", counted)
        monkeypatch.setattr(step_limits, "now", self.now)

    def now(self):
        """Return the seconds."""
        self.seconds += self.tick
        return self.seconds
