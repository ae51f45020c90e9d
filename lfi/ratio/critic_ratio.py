"""The ratio that one or more trained critics say: the mean of their log ratios.

Averaging log r rather than r makes the ensemble of (q, p) the reciprocal of that of (p, q), and
lets the members' errors, which are largest where r is, cancel on the scale on which they are made.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Num
from torch import Tensor, nn

from lfi.networks import Contents, SampleCritic, load_prefixed, prefixed, write
from lfi.ratio.calibration import Calibrated, restore
from lfi.ratio.ratio import Ratio
from lfi.ratio.samples import as_sample
from lfi.training import History

ROWS = 2**14  # samples that a critic sees at a time: keeps memory flat


@dataclass(frozen=True, eq=False)
class CriticRatio(Ratio):
    """A density ratio by critics, as `lfi.fit_ratio` returns it.

    Attributes:
        critics: The trained members.
        shape: The shape of one event.
        history: How each member was trained.
        calibrated: What corrects each member's value, or None for as it is.
    """

    critics: tuple[nn.Module, ...]
    shape: tuple[int, ...]
    history: tuple[History, ...] = ()
    calibrated: tuple[Calibrated | None, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the critics are."""
        return next(self.critics[0].parameters()).device

    @torch.no_grad()
    def members(self, x: Num[Tensor, "n ..."] | Num[np.ndarray, "n ..."]) -> Tensor:
        """Return each member's log ratio, (members, n): their scatter tells the fit's noise."""
        x = as_sample("x", x, self.shape)
        dtype = x.dtype if x.dtype.is_floating_point else torch.get_default_dtype()
        values = []
        for critic, calibrated in zip(
            self.critics, self.calibrated or (None,) * len(self.critics), strict=True
        ):
            parts = [
                critic(part.to(self.device, torch.float32)).cpu().to(dtype)
                for part in x.split(ROWS)
            ]
            h = torch.cat(parts)
            values.append(h if calibrated is None else calibrated(h))
        return torch.stack(values)

    def log_ratio(self, x: Num[Tensor, "n ..."] | Num[np.ndarray, "n ..."]) -> Tensor:
        """Return log p(x)/q(x), (n,), on the CPU and in the dtype of x.

        Args:
            x: Where, (n, *event); NumPy or torch.

        Raises:
            ValueError: If the events have another shape than those fitted to, or are not finite.
        """
        return self.members(x).mean(0)

    def save(self, path: str | Path) -> None:
        """Write the ratio to a file that `lfi.load` reads: safetensors and JSON.

        Critics of your own are saved by their weights; `lfi.load` asks for the network.
        """
        own = isinstance(self.critics[0], SampleCritic)
        spec = {
            "shape": list(self.shape),
            "critic": self.critics[0].spec if own else None,
            "members": len(self.critics),
            "history": [history.describe() for history in self.history],
            "calibrated": [c and c.describe() for c in self.calibrated],
        }
        tensors: dict[str, Tensor] = {}
        for i, critic in enumerate(self.critics):
            tensors |= prefixed(f"critic{i}", critic)
        write(path, "CriticRatio", spec, tensors)

    @classmethod
    def restore(
        cls, contents: Contents, *, prior: object = None, modules: Mapping[str, nn.Module]
    ) -> "CriticRatio":
        """Build the ratio from a file's contents; see `lfi.load`.

        Args:
            contents: What the file holds.
            prior: Not used: a ratio has none.
            modules: {"critic": network} where the critic is one of your own.

        Raises:
            ValueError: If the network is needed and not given, or does not fit.
        """
        spec = contents.spec
        critics = []
        for i in range(spec["members"]):
            if spec["critic"] is not None:
                critic = SampleCritic(
                    spec["critic"]["shape"],
                    width=spec["critic"]["width"],
                    depth=spec["critic"]["depth"],
                )
            elif "critic" in modules:
                critic = copy.deepcopy(modules["critic"])
            else:
                raise ValueError(
                    "the file holds the weights of a critic of your own: give the network with "
                    'load(path, modules={"critic": network})'
                )
            load_prefixed(f"critic{i}", critic, contents.tensors)
            critics.append(critic.eval())
        return cls(
            tuple(critics),
            tuple(spec["shape"]),
            tuple(History.restore(history) for history in spec["history"]),
            tuple(c and restore(c) for c in spec["calibrated"]),
        )
