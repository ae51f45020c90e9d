"""Stages of training a conditional flow or a categorical law: what each takes in use and trains."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import nn

from lfi.networks import CategoricalFlow, ConditionalFlow
from lfi.training import CompleteSettings

SERIES_ROWS = 4_096  # entries of series at a time

Flow = TypeVar("Flow")


@dataclass(frozen=True)
class Stage(ABC, Generic[Flow]):
    """One stage of training a network around a flow.

    Attributes:
        name: A column of the history.
        settings: How it is trained.
        cycles: How often the learning rate rises and falls, at most; the steps are of them all.
    """

    name: str
    settings: CompleteSettings
    cycles: int = 1

    @property
    def rare(self) -> bool:
        """Whether time is not kept for it, as most data have no use for it."""
        return False

    @abstractmethod
    def enter(self, network: nn.Module, flow: Flow) -> bool:
        """Take in use what the stage trains; return whether it has a use."""

    def most_rows(self, flow: Flow) -> int:
        """Return of how many simulations a batch is at most."""
        return self.settings.batch_size


@dataclass(frozen=True)
class FlowStage(Stage[ConditionalFlow]):
    """One stage of training a conditional flow.

    Attributes:
        independent: Whether entries are independent given the condition from here on; None leaves
            that as it is.
        neighbours: Whether it takes an autoregression on neighbours in use, entries being
            independent but for that.
        nonlinear: Whether the autoregression is nonlinear from here on.
        entries: Whether it takes splines of independent entries, or of the autoregression, in use.
        splines: Whether it takes all other splines in use.
    """

    independent: bool | None = None
    neighbours: bool = False
    nonlinear: bool = False
    entries: bool = False
    splines: bool = False

    @property
    def rare(self) -> bool:
        """Whether time is not kept for it, as most data have no use for it."""
        return self.neighbours

    def enter(self, network: nn.Module, flow: ConditionalFlow) -> bool:
        """Take in use what the stage trains; return whether entries are such that it has a use."""
        if not self._meant(flow):
            return False
        if self.independent is not None:
            flow.independent.fill_(self.independent)
            if self.independent:
                flow.whitening.make_independent()
        if self.neighbours and not flow.neighbours_active:
            flow.whitening.reset_networks()
        flow.neighbours_active |= self.neighbours
        if flow.neighbours is not None and flow.neighbours_active:
            flow.neighbours.nonlinear |= self.nonlinear
            flow.neighbours.splines_active |= self.entries
        else:
            flow.entries_active |= self.entries
        flow.splines_active |= self.splines
        network.requires_grad_(not self._of_neighbours(flow))
        if flow.neighbours is not None:
            flow.neighbours.requires_grad_(True)
            flow.whitening.linear.requires_grad_(True)
        return True

    def most_rows(self, flow: ConditionalFlow) -> int:
        """Return of how many simulations a batch is at most."""
        size = super().most_rows(flow)
        return min(size, max(1, SERIES_ROWS // flow.size)) if self._of_neighbours(flow) else size

    def _meant(self, flow: ConditionalFlow) -> bool:
        """Return whether the stage follows from what is in use."""
        model = flow.neighbours
        in_use = model if flow.neighbours_active else None
        if self.neighbours:
            return model is not None and (in_use is not None or not self.nonlinear)
        if self.entries:
            return bool(flow.independent) and (in_use is None or not in_use.splines_active)
        return in_use is None or not (self.splines or self.independent is False)

    def _of_neighbours(self, flow: ConditionalFlow) -> bool:
        """Return whether the stage trains an autoregression alone, and leaves the rest as it is."""
        return self.neighbours or (self.entries and bool(flow.neighbours_active))


@dataclass(frozen=True)
class CategoricalStage(Stage[CategoricalFlow]):
    """One stage of training a categorical law: of a regression alone, or of the network too."""

    network: bool = False

    def enter(self, network: nn.Module, flow: CategoricalFlow) -> bool:
        """Take in use what the stage trains, which always has a use."""
        flow.network_active |= self.network
        network.requires_grad_(True)
        return True
