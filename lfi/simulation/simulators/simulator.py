"""Simulators: a function of theta with its prior, and how rows are simulated.

Row i of a run belongs to block b = i // 1024. Random numbers come from the run's seed by

    theta of block b                              key (0, b)
    one call of a batched function, on a block    key (1, b)
    one call for a single vector, row i           key (2, i)

so that no row depends on how many others are simulated, where, or in which order.
"""

import copy
import hashlib
import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike
from lfi.numerics.checks import check_instance, check_whole
from lfi.runtime.seeds import fresh, isolated
from lfi.simulation.priors.prior import Prior, as_prior
from lfi.simulation.records.results import (
    BLOCK,
    InvalidOutput,
    RowResults,
    as_data,
    results_of_batch,
    results_of_rows,
)
from lfi.simulation.simulators.calls import ComposedSummaries, SimulatorFunction
from lfi.simulation.simulators.labels import Axis, DataLabels, data_labels
from lfi.simulation.simulators.names import own_name, telling_name
from lfi.simulation.simulators.readers import Reader, numbers
from lfi.simulation.simulators.signature import Signature, signature_of, source_text
from lfi.simulation.simulators.simulator_check import SimulatorCheck, inspect_simulator


@checked
class Simulator:
    """A stochastic simulator and the prior of its parameters.

    Attributes:
        simulate: The function: parameters in, data out, with an optional second argument `rng`.
        prior: The named prior.
        batched: Whether the function takes n vectors, (n, D) to (n, *event), or a single one,
            (D,) to (*event).
        name: Its name in reports and progress: by default the function's, or where that is
            "simulate" or the like, the variable's or the module's.
        units: The parameters' units, by name.
        x_obs: Real data, (*event), if there are any; summarised, where there are summaries.
        trials: How many independent draws x holds for each theta, x then being (n, trials, *event);
            None where it holds one, (n, *event).
        summary: What x is reduced to, a function from (n, ...) to (n, *event).
        differentiable: Whether gradients flow from x to theta where random numbers are fixed.
        description: What it says of itself: the docstring of its module, model or function.
        labels: Names, units and axis of x for figures, from `with_labels`.
        identity: A hash of name, source and prior, by which a store recognises its simulator.

    Example:
        >>> from torch.distributions import Normal
        >>> prior = {"mean": Normal(0.0, 1.0)}
        >>> coin = Simulator(lambda theta, rng: rng.normal(theta), prior=prior, name="coin")
        >>> coin(torch.zeros(3, 1), seed=1).shape
        torch.Size([3, 1])
    """

    def __init__(
        self,
        simulate: Callable[..., Any],
        *,
        prior: object,
        batched: bool = True,
        name: str | None = None,
        units: Mapping[str, str] | None = None,
        x_obs: object = None,
        trials: int | None = None,
        summary: Callable[[Tensor], Tensor] | None = None,
        differentiable: bool = False,
    ) -> None:
        check_whole("trials", trials, optional=True)
        check_instance("batched", batched, bool)
        check_instance("differentiable", differentiable, bool)
        check_instance("name", name, str, optional=True)
        check_instance("units", units, Mapping, "a dictionary of names and units", optional=True)
        if summary is not None and not callable(summary):
            raise TypeError(f"summary must be a function of a batch of x, got {summary!r}")
        self.signature: Signature = signature_of(simulate)
        self.trials: int | None = trials
        self.summary: Callable[[Tensor], Tensor] | None = summary
        self.differentiable: bool = differentiable
        self.simulate: Callable[..., Any] = simulate
        self.prior: Prior = as_prior(prior)
        self.batched: bool = batched
        self._given = name or own_name(simulate)  # in the identity, which what one shows is not
        self.name: str = name or telling_name(simulate)
        self._calls = SimulatorFunction(
            simulate, self.signature, batched, trials, summary, self.name
        )
        self.units: Mapping[str, str] = dict(units or {})
        unknown = set(self.units) - set(self.prior.names)
        if unknown:
            raise ValueError(f"units of {sorted(unknown)}: the prior names {self.prior.names}")
        self.x_obs: Tensor | None = None
        if x_obs is not None:
            self.x_obs = as_data("x_obs", x_obs)
        parts = [self._given, f"{batched} {trials}", source_text(simulate), self.prior.fingerprint]
        parts += [] if summary is None else [source_text(summary)]
        self.identity: str = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        self.__doc__ = getattr(simulate, "__doc__", None)
        own = inspect.isroutine(simulate)  # an object's is of its class, which knows no model
        self.description: str = (inspect.getdoc(simulate) or "") if own else ""
        self.labels: DataLabels = DataLabels()

    def __repr__(self) -> str:
        return f"Simulator({self.name}, {self.prior})"

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @property
    def independent_draws(self) -> int | None:
        """How many independent draws x holds for each theta: none where summaries join them."""
        return self.trials if self.summary is None else None

    @staticmethod
    @checked
    def from_command(
        command: str | Sequence[str],
        *,
        prior: object,
        stdin: str | None = None,
        read: Reader = numbers,
        persistent: bool = False,
        name: str | None = None,
        units: Mapping[str, str] | None = None,
        x_obs: object = None,
        trials: int | None = None,
    ) -> "Simulator":
        """Wrap a program in any language.

        Args:
            command: Program and arguments, started without a shell in the working directory.
                {beta} becomes the parameter beta, {seed} a number from the run's seed, {folder} an
                empty folder, deleted afterwards.
            prior: The named prior.
            stdin: What the program gets as standard input, with the same placeholders.
            read: Reads the data from its output: `lfi.simulation.simulators.readers.numbers` of
                standard output, `csv(...)`, `json(...)`, `npy(...)`, or a function of a
                `ProgramOutput`.
            persistent: Start the program once in each process; `stdin` is then the line that
                requests a simulation, and it answers each with one line of standard output.
            name: Its name in reports; by default the program's name.
            units: The parameters' units, by name.
            x_obs: Real data, if there are any.
            trials: How many runs x holds for each theta.

        Raises:
            ValueError: If a placeholder is unknown, or a parameter has none.
            FileNotFoundError: If there is no such program. One of other machines alone, where an
                executor runs it, can be given as ["env", program, ...].

        Example:
            >>> prior = {"top": torch.distributions.Uniform(1.0, 9.0)}
            >>> awk = "BEGIN { srand({seed}); print {top} * rand(), {top} }"
            >>> simulator = Simulator.from_command(["awk", awk], prior=prior)
            >>> simulator(torch.tensor([[2.0], [8.0]]), seed=1)[:, 1]
            tensor([2., 8.])
        """
        from lfi.simulation.simulators.command import (
            Command,
            PersistentCommand,
            check_program,
            split_command,
        )

        arguments, prior = split_command(command), as_prior(prior)
        if persistent:
            if stdin is None:
                raise ValueError("persistent=True needs stdin, the line that requests a simulation")
            program = PersistentCommand(arguments, prior.names, stdin, read)
        else:
            program = Command(arguments, prior.names, stdin, read)
        check_program(arguments[0])
        made = Simulator(
            program,
            prior=prior,
            batched=False,
            name=name or Path(arguments[0]).name,
            units=units,
            x_obs=x_obs,
            trials=trials,
        )
        return made.with_labels(description=f"The program\n\n    {shlex.join(arguments)}")

    @staticmethod
    def from_pyro(
        model: Callable[[], object],
        *,
        observed: str | Sequence[str],
        parameters: Sequence[str] | None = None,
        name: str | None = None,
        units: Mapping[str, str] | None = None,
        x_obs: object = None,
    ) -> "Simulator":
        """Wrap a Pyro model: its latent sites are the parameters, its observed sites the data.

        Args:
            model: A function without arguments (bind them with functools.partial) that samples
                everything; the observed sites are drawn, also where it gives them `obs`.
            observed: The site of the data, or several, which are flattened and concatenated.
            parameters: The latent sites to infer, in this order; None for all. Others, such as
                those of a hierarchical model's groups, are drawn in each simulation and so
                integrated out; these may be discrete.
            name: Its name in reports; by default the model's name.
            units: The parameters' units, by name.
            x_obs: Real data, if there are any.

        Raises:
            ValueError: If a site is missing, discrete, or its number of values changes, or a
                parameter depends on a site that is none.

        Example:
            >>> import pyro
            >>> from pyro.distributions import LogNormal, Normal
            >>> def weighing():
            ...     weight = pyro.sample("weight", LogNormal(0.0, 1.0))
            ...     pyro.sample("x", Normal(weight, 0.1).expand([3]).to_event(1))
            >>> Simulator.from_pyro(weighing, observed="x")
            Simulator(weighing, Prior(weight in (0, inf)))
        """
        from lfi.simulation.simulators.pyro import PyroFunction, pyro_prior

        sites = (observed,) if isinstance(observed, str) else tuple(observed)
        prior, shapes = pyro_prior(model, sites, None if parameters is None else tuple(parameters))
        made = Simulator(
            PyroFunction(model, sites, shapes),
            prior=prior,
            batched=False,
            name=name or own_name(model),
            units=units,
            x_obs=x_obs,
        )
        made.name = name or telling_name(model)
        return made.with_labels(description=inspect.getdoc(model))

    @checked
    def check(self, *, seed: int | None = None, max_seconds: float = 20.0) -> SimulatorCheck:
        """Run it a few times and report its problems in words.

        Args:
            seed: None takes fresh entropy.
            max_seconds: The time that all calls together may take before fewer are made.

        Example:
            >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
            >>> print(Simulator(lambda theta: theta, prior=prior).check(seed=1))
            problem: other seeds give the same data: ...
        """
        return inspect_simulator(self, seed=seed, max_seconds=max_seconds)

    @checked
    def with_summary(
        self, summary: Callable[[Tensor], Tensor], *, name: str | None = None
    ) -> "Simulator":
        """Return this simulator with x reduced to summaries; `x_obs` is reduced too.

        Args:
            summary: A function of a batch, (n, *event) to (n, *summaries); it may be a module, and
                is applied after the summaries that there are already.
            name: Its name in reports; by default this simulator's name.

        Example:
            >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
            >>> many = Simulator(lambda theta: theta + torch.randn(len(theta), 50), prior=prior)
            >>> few = many.with_summary(lambda x: torch.stack([x.mean(1), x.var(1)], 1))
            >>> few(torch.zeros(3, 1), seed=1).shape
            torch.Size([3, 2])
        """
        x_obs = None if self.x_obs is None else summary(self.x_obs[None])[0]
        before = self.summary
        reduced = Simulator(
            self.simulate,
            prior=self.prior,
            batched=self.batched,
            name=name or self._given,
            units=self.units,
            x_obs=x_obs,
            trials=self.trials,
            summary=summary if before is None else ComposedSummaries(before, summary),
            differentiable=self.differentiable,
        )
        reduced.name = name or self.name
        return reduced.with_labels(description=self.description)

    def called(self, simulate: Callable[..., Any], *, batched: bool) -> "Simulator":
        """Return this simulator with a function that is called in another way.

        Example:
            >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
            >>> rows = Simulator(lambda theta: theta, prior=prior)
            >>> rows.called(lambda theta: theta, batched=False).batched
            False
        """
        other = Simulator(
            simulate,
            prior=self.prior,
            batched=batched,
            name=self.name,
            units=self.units,
            x_obs=self.x_obs,
            trials=self.trials,
            summary=self.summary,
            differentiable=self.differentiable,
        )
        other.labels, other.description = self.labels, self.description
        return other

    @checked
    def with_labels(
        self,
        *,
        x_names: str | Sequence[str] | None = None,
        x_axis: Axis | None = None,
        x_units: str | Sequence[str] | None = None,
        description: str | None = None,
    ) -> "Simulator":
        """Return this simulator with names of its data, which figures and reports show.

        A module or object with `x_names`, `x_axis`, `x_units` needs no such call. `with_summary`
        drops the labels, since summaries are other numbers.

        Args:
            x_names: One name for x, or one for each of its series or entries.
            x_axis: The axis's name and its values, one for each step of x's first axis or one for
                each entry: `("day", range(1, 15))`.
            x_units: One unit for x, or one for each name.
            description: What the simulator is, by default what it says already.

        Raises:
            ValueError: If they do not fit each other or the simulator's x_obs.

        Example:
            >>> prior = {"rate": torch.distributions.Uniform(0.0, 9.0)}
            >>> counts = Simulator(lambda theta: torch.poisson(theta.expand(-1, 3)), prior=prior)
            >>> counts.with_labels(x_names="cases", x_axis=("day", [1, 2, 3])).labels.describe()
            'cases, by day from 1 to 3'
        """
        labels = data_labels(x_names, x_axis, x_units)
        if self.x_obs is not None:
            labels.series(tuple(self.x_obs.shape))
        named = copy.copy(self)
        named.labels = labels
        named.description = self.description if description is None else description
        return named

    @checked
    def __call__(
        self, theta: Float[Tensor, "n dim"] | ArrayLike, seed: int | None = None
    ) -> Shaped[Tensor, " n *event"]:
        """Return x for every row of theta; what the function raises is raised.

        Gradients flow to a theta that requires them, where the function is of torch and lets them;
        equal seeds fix the random numbers.

        Raises:
            ValueError: If theta has the wrong number of columns, or x the wrong number of rows.
        """
        theta, seed = self.prior.as_theta(theta), fresh(seed)
        graph = theta.requires_grad
        with isolated(seed):
            if self.batched:
                return self._calls.batch(theta, graph, seed, 1, 0)
            rows = enumerate(theta.clone().unbind())  # the function may write to it
            return torch.stack([self._calls.row(t, graph, seed, 2, i) for i, t in rows])

    def run_block(
        self,
        theta: Float[Tensor, "n dim"],
        seed: int,
        block: int = 0,
        start: int = 0,
        *,
        row_by_row: bool = False,
        heartbeat: Callable[[int], None] = lambda row: None,
    ) -> RowResults:
        """Simulate rows start, start + 1, ... of a block, and record failures of the function.

        A batched function is called on whole blocks, from row 0, unless `row_by_row`; `heartbeat`
        is told what begins: a row, counted from `start`, or -1 for a call for all. ValueError if x
        has the wrong number of rows, a changing shape, or is not of numbers.
        """
        first = block * BLOCK + start
        with isolated(seed):
            if self.batched and not row_by_row:
                heartbeat(-1)
                try:
                    return results_of_batch(self._calls.batch(theta, False, seed, 1, block))
                except InvalidOutput:
                    raise
                except Exception:  # of whatever kind: rows are tried one by one
                    pass
            rows: list[Tensor | Exception] = []
            for i, t in enumerate(theta.clone().unbind()):  # the function may write to it
                heartbeat(i)
                try:
                    rows.append(self._calls.row(t, False, seed, 2, first + i))
                except InvalidOutput:
                    raise
                except Exception as error:  # of whatever kind: it goes into the record
                    rows.append(error)
        return results_of_rows(rows, first)
