"""A log-linear pool: log p(theta | x) = log p(theta) + sum_k a_k log w_k(theta, x) + c(x).

Members are known by their ratio w_k to the prior, up to a function of x. One member with weight one
is that member; weights between average the errors of members that err apart; a sum below one draws
an overconfident pool towards the prior. What c(x) is need not be known.
"""

from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from operator import mul
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from lfi.inference.posteriors.flow import FlowPosterior
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.samplers.target import Target
from lfi.inference.training_reference import TrainingReference
from lfi.runtime import Contents, Described, restore_part
from lfi.simulation import Prior
from lfi.training import History


@dataclass(frozen=True, repr=False)
class PoolChoice(Described):
    """Which methods a pool was chosen from, and their scores.

    `scores` are mean log posterior densities of the parameters of held-out simulations, lower
    bounds where they have to be normalised, and `score` is the pool's; `errors` are the standard
    errors of the differences to it. `weights` are 0 where a method was left out. `held_out` counts
    the simulations that validate the pool, and `seconds` are those of fitting each method.
    `settled` are methods that were not fitted since the others agree, and `left_out` tells what
    there was no time for: steps, stages or methods.
    """

    names: tuple[str, ...]
    scores: tuple[float, ...]
    errors: tuple[float, ...]
    weights: tuple[float, ...]
    score: float
    held_out: int
    seconds: tuple[float, ...]
    settled: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the methods chosen, and the score of each.

        Example:
            >>> PoolChoice(("ratio", "flow"), (1.0, 0.4), (0.1, 0.1), (1.0, 0.0), 1.0, 500,
            ...            (60.0, 20.0))
            ratio, by 500 held-out simulations
              ratio  weight 1.00  log density 1.000, 0.000 +- 0.100 below the pool's, 60 s
              flow   weight 0.00  log density 0.400, 0.600 +- 0.100 below the pool's, 20 s
        """
        kept = [name for name, weight in zip(self.names, self.weights, strict=True) if weight]
        width = max(map(len, self.names))
        rows = zip(self.names, self.weights, self.scores, self.errors, self.seconds, strict=True)
        lines = [
            f"  {name:<{width}}  weight {weight:.2f}  log density {score:.3f}, "
            f"{self.score - score:.3f} +- {error:.3f} below the pool's, {seconds:.0f} s"
            for name, weight, score, error, seconds in rows
        ]
        first = f"{' with '.join(kept)}, by {self.held_out} held-out simulations"
        late = [f"  short of time: {what}" for what in self.left_out]
        done = [f"  {name} not fitted: the others agree" for name in self.settled]
        return "\n".join([first, *lines, *done, *late])

    def _table(self) -> list[tuple[object, ...]]:
        columns = self.names, self.weights, self.scores, self.errors, self.seconds
        rows = zip(*columns, strict=True)
        return [("method", "weight", "log density", "standard error", "seconds"), *rows]


@dataclass(frozen=True, eq=False, repr=False)
class PooledPosterior(SavedPosterior):
    """A posterior pooled of several, whose `log_prob` lacks the normalising constant.

    `weights` are the a_k of the `members`, whose training `history` tells one after the other;
    `choice` is what they were chosen from, and why. `proposal` is a flow for samplers, perhaps none
    of the members, or None. `relevant` tells which entries of x members see, where not all tell of
    theta.
    """

    members: tuple[SavedPosterior, ...]
    weights: tuple[float, ...]
    choice: PoolChoice
    proposal: FlowPosterior | None = None
    history: tuple[History, ...] = field(default=())
    training_reference: TrainingReference | None = None
    relevant: tuple[bool, ...] | None = None
    normalised: bool = field(default=False, init=False)

    @property
    def prior(self) -> Prior:
        """The members' prior."""
        return self.members[0].prior

    @property
    def has_evidence(self) -> bool:
        """False: members known up to different constants are pooled."""
        return False

    @property
    def takes_missing(self) -> bool:
        """Whether all members do."""
        return all(member.takes_missing for member in self.members)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        return self.members[0].x_shape if self.relevant is None else (len(self.relevant),)

    def describe(self) -> str:
        """Return what the posterior is of, what was pooled, and why."""
        event = " x ".join(map(str, self.x_shape)) or "one number"
        first = f"PooledPosterior of {', '.join(self.names)}, given x of {event}"
        if self.relevant is not None:
            first += f", of which {sum(self.relevant)} tell of theta"
        return f"{first}\n{self.choice.describe()}"

    def target(self, x: Float[Tensor, "m ..."]) -> Target:
        """Return the posteriors of m observations, for samplers."""
        if self.relevant is not None:
            x = x[:, list(self.relevant)]
        parts = [member.target(x) for member in self.members]

        def pair(theta: Tensor, *x: Tensor) -> Tensor:
            own = iter(x)
            terms = (part.pair(theta, *islice(own, len(part.x))).to(theta) for part in parts)
            return sum(map(mul, self.weights, terms), start=theta.new_zeros(()))

        x_parts = tuple(each for part in parts for each in part.x)
        rows = min(part.rows for part in parts)
        proposal = None if self.proposal is None else self.proposal.as_proposal(x)
        return Target(self.prior, x_parts, pair, proposal, rows)

    def _networks(self) -> list[nn.Module]:
        parts = [*self.members, *([] if self.proposal is None else [self.proposal])]
        return [network for part in parts for network in part._networks()]

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        specs, tensors = [], {}
        extra = () if self.proposal is None or self.proposal in self.members else (self.proposal,)
        for index, member in enumerate((*self.members, *extra)):
            spec, own = member._spec()
            specs.append({"kind": type(member).__name__, "spec": spec})
            tensors |= {f"{index}.{name}": tensor for name, tensor in own.items()}
        proposal = None
        if self.proposal is not None:
            proposal = len(self.members) if extra else self.members.index(self.proposal)
        spec = {
            "members": specs,
            "proposal": proposal,
            "weights": list(self.weights),
            "choice": asdict(self.choice),
            "history": [history._spec() for history in self.history],
            "relevant": None if self.relevant is None else list(self.relevant),
        }
        return spec, tensors

    @classmethod
    def _restore(cls, contents: Contents) -> "PooledPosterior":
        spec: dict[str, Any] = contents.spec
        parts = []
        for index, entry in enumerate(spec["members"]):
            inner = contents.part(entry["kind"], entry["spec"], f"{index}.")
            parts.append(restore_part(inner))
        chosen: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in spec["choice"].items()
        }
        weights = tuple(spec["weights"])
        proposal = None if spec["proposal"] is None else parts[spec["proposal"]]
        history = tuple(History._restore(entry) for entry in spec["history"])
        posterior = cls(
            tuple(parts[: len(weights)]), weights, PoolChoice(**chosen), proposal, history
        )
        relevant = spec.get("relevant")  # which older files do not have
        if relevant is None:
            return posterior
        if (
            not all(type(seen) is bool for seen in relevant)
            or (sum(relevant),) != posterior.x_shape
        ):
            raise ValueError(f"members see {posterior.x_shape} of x of {len(relevant)} numbers")
        return replace(posterior, relevant=tuple(relevant))
