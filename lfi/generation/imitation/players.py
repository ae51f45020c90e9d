"""The players of imitation, critic, policy and baseline, and the turn that they take.

    critic      the expert's steps against the policy's, by any comparison's loss and penalties
    policy      -E min(w A, clip(w, 1 - c, 1 + c) A) - entropy,    w = new / old probability
    baseline    E (V - A - old V)^2

where A is the advantage of an action under the critic's rewards (`advantages`, `rewards`). At w = 1
the policy's gradient is that of the score function with a learnt baseline, E A grad log pi(a | s),
the gradient of the divergence that the generator's loss is for. The clipped ratio lets the same
steps serve for several epochs (PPO).

Steps count alike, however late in an episode they come: the discount is in the advantages, not in
how often a state is visited, as is usual.

One turn: the policy plays, the critic moves on what it played, judges it, and policy and baseline
move on batches of it.

References:
    Ho & Ermon, Generative adversarial imitation learning, 2016. arXiv:1606.03476
    Schulman et al., Proximal policy optimization algorithms, 2017. arXiv:1707.06347
    Williams, Simple statistical gradient-following algorithms, 1992 (score function).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import Adversarial
from lfi.generation.gradient_estimators import baseline_risk
from lfi.generation.imitation.advantages import advantages_of
from lfi.generation.imitation.environments import Steps
from lfi.generation.imitation.policy import Policy
from lfi.generation.imitation.rewards import rewards_of
from lfi.generation.imitation.settings import ImitationSettings
from lfi.generation.imitation.step_encoding import with_absorbing
from lfi.generation.imitation.trajectories import Trajectories
from lfi.generation.objectives import adversarial_players
from lfi.generation.settings import DEFAULTS, AdversarialSettings
from lfi.training import Batch, Move, Player, Step, adamw

CRITIC_BETAS = (0.5, 0.99)


@dataclass(frozen=True, eq=False)
class JudgedSteps:
    """Steps of a turn, flattened, with what the critic makes of them."""

    states: Float[Tensor, "n states"]
    draws: Tensor
    log_prob: Float[Tensor, " n"]
    advantages: Float[Tensor, " n"]
    returns: Float[Tensor, " n"]

    def batches(self, size: int, rng: torch.Generator) -> list[Batch]:
        """Return all steps in batches of a size, in random order."""
        order = torch.randperm(len(self.states), generator=rng).to(self.states.device)
        parts = (self.states, self.draws, self.log_prob, self.advantages, self.returns)
        count = max(1, len(order) // size)
        return [tuple(part[rows] for part in parts) for rows in order.chunk(count)]


class ImitationGame:
    """An expert's steps, and the objectives of those who play with them.

    `compared` are the policy's steps of the present turn, as the critic sees them.
    """

    expert: Tensor
    expert_weights: Tensor
    compared: Tensor
    weights: Tensor

    def __init__(
        self,
        policy: Policy,
        baseline: nn.Module,
        critic: nn.Module,
        expert: Trajectories,
        comparison: Adversarial,
        settings: ImitationSettings,
    ) -> None:
        self.policy: Policy = policy
        self.baseline: nn.Module = baseline
        self.critic: nn.Module = critic
        self.comparison: Adversarial = comparison
        self.settings: ImitationSettings = settings
        encoding = policy.encoding
        draws = None
        if expert.actions is not None and not encoding.state_only:
            draws = policy.model.draws_of("expert", expert.actions)
        rows = encoding.rows(expert.observations, expert.after, draws, expert.final)
        self.expert, self.expert_weights = with_absorbing(
            rows, encoding.absorbing(), expert.final, settings.discount
        )
        self.compared, self.weights = self.expert[:1], self.expert_weights[:1]

    def players(self) -> tuple[Player, Player, Player]:
        """Return critic, policy and baseline."""
        settings = self.settings
        adversarial = AdversarialSettings(
            critic_steps=settings.critic_steps,
            critic_learning_rate=settings.critic_learning_rate,
            betas=CRITIC_BETAS,
        )
        critic, _ = adversarial_players(
            self.policy, self.critic, self._draw, self.comparison, DEFAULTS.updated(adversarial)
        )
        optimiser = adamw(settings.learning_rate)
        clip = None if settings.clip == math.inf else settings.clip
        average = settings.average or None
        return (
            critic,
            Player("policy", self.policy, self.policy_objective, optimiser, ema=average, clip=clip),
            Player("baseline", self.baseline, self.baseline_objective, optimiser, clip=clip),
        )

    def _draw(self, rng: torch.Generator) -> Tensor:
        """Return rows of the policy's steps for a batch of the critic."""
        return _rows(self.compared, self.weights, self.settings.batch_size, rng)

    def critic_batch(self, rng: torch.Generator) -> Batch:
        """Return rows of the expert's steps."""
        return (_rows(self.expert, self.expert_weights, self.settings.batch_size, rng),)

    def show(self, steps: Steps) -> Float[Tensor, "n size"]:
        """Let the critic see a turn's steps, and return them as it does, without the absorbing."""
        encoding = self.policy.encoding
        rows = encoding.rows(
            steps.observations.flatten(0, 1),
            steps.after.flatten(0, 1),
            steps.actions.flatten(0, 1),
            steps.terminated.flatten(),
        )
        self.compared, self.weights = with_absorbing(
            rows, encoding.absorbing(), steps.terminated.flatten(), self.settings.discount
        )
        return rows

    @torch.no_grad()
    def judge(self, steps: Steps, rows: Tensor, step: Step) -> JudgedSteps:
        """Return a turn's steps with their advantages under the critic as it is now."""
        settings, encoding = self.settings, self.policy.encoding
        h_p = self.critic(self.critic_batch(step.rng)[0])
        h_q = self.critic(torch.cat([rows, encoding.absorbing()]))
        rewards = rewards_of(self.comparison.generator_loss, h_p, h_q).cpu()
        shape = steps.rewards.shape
        states = encoding.state(steps.observations.flatten(0, 1))
        after = encoding.state(steps.after.flatten(0, 1))
        values = self.baseline(states).cpu()
        advantages = advantages_of(
            rewards[:-1].reshape(shape),
            values.reshape(shape),
            self.baseline(after).cpu().reshape(shape),
            steps.terminated,
            steps.cut,
            absorbing=rewards[-1],
            discount=settings.discount,
            trace=settings.trace,
        ).flatten()
        returns = advantages + values
        spread = advantages.std(correction=0).clamp_min(1e-8)
        draws = steps.actions.flatten(0, 1).to(states.device)
        step.log("reward", rewards[:-1].mean())
        return JudgedSteps(
            states,
            draws,
            self.policy.model.log_prob(self.policy.network(states), draws),
            ((advantages - advantages.mean()) / spread).to(states.device),
            returns.to(states.device),
        )

    def policy_objective(self, batch: Batch, step: Step) -> Float[Tensor, ""]:
        """Return the clipped surrogate of the expected advantage, negated, less the entropy."""
        states, draws, before, advantages, _ = batch
        outputs = self.policy.network(states)
        model, limit = self.policy.model, self.settings.ratio
        ratio = (model.log_prob(outputs, draws) - before).exp()
        clipped = ratio.clamp(1 - limit, 1 + limit)
        gain = torch.minimum(ratio * advantages, clipped * advantages).mean()
        return -gain - self.settings.entropy * model.entropy(outputs).mean()

    def baseline_objective(self, batch: Batch, step: Step) -> Float[Tensor, ""]:
        """Return the mean squared error of the baseline."""
        states, *_, returns = batch
        return baseline_risk(self.baseline(states), returns)

    def turn(self, moves: Sequence[Move], draw: Callable[[], Batch], step: Step) -> None:
        """Play, let the critic learn, let it judge, and let policy and baseline learn."""
        critic, *learners = moves
        steps = Steps(*draw())
        log_episodes(steps, step)
        rows = self.show(steps)
        for _ in range(critic.player.steps):
            critic.gradient(self.critic_batch(step.rng), step)
            critic.apply()
        judged = self.judge(steps, rows, step)
        for _ in range(self.settings.epochs):
            for batch in judged.batches(self.settings.batch_size, step.rng):
                for move in learners:
                    move.gradient(batch, step)
                    move.apply()


def log_episodes(steps: Steps, step: Step) -> None:
    """Note the environment's return and the length of episodes, a mean over copies.

    Nothing is trained on the environment's rewards.
    """
    episodes = float(steps.over.sum())
    step.log("return, not trained on", float(steps.rewards.sum()) / episodes)
    step.log("steps of an episode", steps.rewards.numel() / episodes)


def _rows(
    rows: Float[Tensor, "n size"], weights: Float[Tensor, " n"], size: int, rng: torch.Generator
) -> Float[Tensor, "m size"]:
    """Return so many rows, drawn in proportion to weights."""
    chosen = torch.multinomial(weights, size, replacement=True, generator=rng)
    return rows[chosen.to(rows.device)]
