"""The result of a simulator's check-up (examine.py)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Checkup:
    """What a check-up found.

    Attributes:
        problems: What should be mended, a sentence each.
        notes: What is good to know.
        seconds: What one simulation took.
        x_shape: The shape of one x, None where none came.
        failed: The share of simulations that failed.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float
    x_shape: tuple[int, ...] | None
    failed: float

    @property
    def ok(self) -> bool:
        """Whether nothing should be mended."""
        return not self.problems

    def __str__(self) -> str:
        lines = [f"problem: {text}" for text in self.problems]
        return "\n".join(lines + [f"note: {text}" for text in self.notes]) or "nothing to say"
