"""Time limits of samplers."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class TimeLimit:
    """When a sampler began, in seconds of `time.monotonic`, and how many it may run."""

    begin: float
    seconds: float

    @classmethod
    def start(cls, seconds: float) -> "TimeLimit":
        """Return a limit that begins now; ValueError if the time is not positive."""
        if not seconds > 0:
            raise ValueError(f"time_limit must be positive, got {seconds}")
        return cls(time.monotonic(), seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begin

    @property
    def over(self) -> bool:
        """Whether the time has run out."""
        return self.elapsed >= self.seconds
