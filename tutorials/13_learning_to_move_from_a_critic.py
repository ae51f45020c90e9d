# %% [markdown]
# # Learning to move from a critic
#
# **Question.** An expert swings a pendulum up, a few times. How does one learn to do the same from
# these episodes, if nobody says what they are good for?
#
# **Answer.** A policy is an implicit model: it draws actions, its environment, a black box, draws
# what follows, and together they draw episodes. Train a critic to tell the policy's steps from the
# expert's, and take what it says for a reward (Ho & Ermon 2016). The gradient does not go through
# the environment; it goes through the probabilities of the actions.
#
# You need: [a GAN in ten lines](05_a_gan_in_ten_lines.py), and Gymnasium
# (`pip install 'lfi[imitation]'`). You will meet: `fit_imitation`, `lfi.imitation`.

# %%
import gymnasium
import numpy as np
import torch

import lfi
from lfi.imitation import ImitationSettings, Trajectories, fit_cloning, record
from lfi.plots import training_plot
from simulators import experts

torch.set_num_threads(1)  # small networks run faster so

# %% [markdown]
# ## 1. An expert
#
# Ten episodes of a scripted controller: it pumps energy into the swing, and holds the pendulum once
# it stands. The environment's own rewards are in the file, to compare with; nothing is trained on
# them. A policy that pushes at random is the other end of the scale.

# %%
expert = Trajectories(**experts.trajectories("Pendulum-v1"))
print(expert)
rng = np.random.default_rng(1)
at_random = record("Pendulum-v1", lambda s: rng.uniform(-2, 2, (len(s), 1)), 20, seed=5)
at_best = record("Pendulum-v1", experts.pendulum, 20, seed=5)
low, high = at_random.returns.mean(), at_best.returns.mean()
print(f"20 other episodes: at random {low:.0f}, the expert {high:.0f}")


def share(policy):
    """Return how far a policy comes from chance, 0, to the expert, 1, in the same 20 episodes."""
    earned = record("Pendulum-v1", policy.act, 20, seed=5).returns.mean()
    return ((earned - low) / (high - low)).item()


# %% [markdown]
# ## 2. To copy actions is not enough
#
# Behaviour cloning is maximum likelihood of the expert's actions given its states. It takes seconds
# and no step of the environment. But two episodes show few states; where the policy errs, it
# comes into others, of which it has learnt nothing, and errs more (Ross & Bagnell 2010).

# %%
few = expert[:2]
cloned = {n: share(fit_cloning("Pendulum-v1", expert[:n], seed=1)) for n in (2, 10)}
for n, value in cloned.items():
    print(f"cloning of {n:>2} episodes: {value:.0%} of the way")

# %% [markdown]
# ## 3. To be indistinguishable
#
# A turn: the policy plays; the critic learns to tell its pairs of state and action from the
# expert's; then policy and a learnt baseline move, by proximal policy optimisation, so that actions
# become likelier after which the critic was more convinced. The policy does not have to know what
# the expert did in a state that the expert never saw: it is drawn back to those that it did see.

# %%
policy = lfi.fit_imitation("Pendulum-v1", few, budget=100_000, seed=1)
imitated = share(policy)
print(f"imitation of 2 episodes: {imitated:.0%} of the way")
print(policy)
training_plot([policy.history], ["imitation of two episodes"])

# %% [markdown]
# ## 4. Which reward?
#
# Any loss of a generator is one. It is a mean over samples, of a cost for each; the cost of a step,
# negated, is its reward. For an f-divergence that is the derivative of the divergence in the
# policy's density, so that the policy's gradient is the divergence's. With $h = \log p/q$ and
# $D = \sigma(h)$:
#
# | generator's loss | reward of a step | sign |
# |---|---|---|
# | `Bernoulli` | $-\log(1-D)$, as Ho & Ermon have it | + |
# | `NonSaturating` | $\log D$ | - |
# | `ReverseKL` | $h$, as in adversarial inverse reinforcement learning | both |
# | `Wasserstein` | the critic itself | both |
#
# The sign is a trap. If an episode can end early and what follows counts nothing, then positive
# rewards are a reason to stay and negative ones to leave, whatever the expert does (Kostrikov et
# al. 2019). So lfi lets a terminal state lead to an absorbing one that the critic sees as it sees
# the others, and that earns its own reward for ever; then a constant in all rewards changes no
# advantage. Where only time is up, the episode would have gone on, and its value is estimated.
#
# Here is a room whose expert leaves by the shortest way, an environment of your own in a few lines.


# %%
class Room(gymnasium.Env):
    """Places -3 to 3 on a line; beyond 3 is the door."""

    observation_space = gymnasium.spaces.Box(-4.0, 4.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)  # left, right

    def reset(self, *, seed=None, options=None):
        """Begin somewhere."""
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(-3, 4))
        return self._state(), {}

    def step(self, action):
        """Walk, and leave by the door."""
        self.place = max(-3, self.place + (1 if action == 1 else -1))
        return self._state(), 0.0, self.place > 3, False, {}

    def _state(self):
        return np.array([self.place], dtype=np.float32)


def room():
    """Make one."""
    return Room()


leaving = record(room, lambda s: np.ones(len(s), dtype=int), 20, seed=1)
settings = ImitationSettings(
    copies=16, horizon=20, discount=0.9, learning_rate=1e-2, critic_learning_rate=1e-2, average=0.0
)
places = np.arange(-3.0, 4.0, dtype=np.float32)[:, None]
right = {}
for loss in (lfi.losses.Bernoulli(), lfi.losses.NonSaturating(), lfi.losses.ReverseKL()):
    comparison = lfi.Adversarial(lfi.losses.Bernoulli(), loss, lfi.penalties.R1(0.1))
    walker = lfi.fit_imitation(
        room, leaving, comparison=comparison, budget=5_000, settings=settings, seed=1
    )
    right[type(loss).__name__] = walker.log_prob(places, [1] * 7).exp()
    print(
        f"{type(loss).__name__:<14} walks right with", right[type(loss).__name__].numpy().round(2)
    )

# %% [markdown]
# ## 5. From states alone
#
# Who only watched knows no actions. The critic then sees (state, next state), and the policy finds
# actions that lead from the one to the other (Torabi, Warnell & Stone 2018). A pole on a cart, of
# which nothing is known but how it looked while an expert balanced it:

# %%
seen = Trajectories(**experts.trajectories("CartPole-v1")).without_actions()
balancing = lfi.fit_imitation("CartPole-v1", seen, state_only=True, budget=60_000, seed=1)
standing = balancing.play(20, seed=2)
print(standing)

# %% [markdown]
# ## 6. Three seeds
#
# The mean of 20 episodes each, on the scale from chance to the expert, and the processor's time
# (`tests/benchmarks/black_boxes.py imitation`). 60,000 steps of the pole, 160,000 of the pendulum.
#
# | | imitation | cloning | seconds |
# |---|---|---|---|
# | pole, ten episodes | 1.00, 1.00, 1.00 | 1.00, 1.00, 1.00 | 13 |
# | pendulum, ten episodes | .99, .96, .92 | 1.00, .99, .99 | 47 |
# | pendulum, ten episodes of states alone | 1.00, .99, 1.00 | | 40 |
# | pendulum, two episodes | .99, .95, .94 | .23, .18, .56 | 47 |
#
# Where the expert has shown enough, cloning is all one needs.
#
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
assert cloned[2] < 0.7 < 0.85 < imitated
assert cloned[10] > 0.85
assert min(p.min() for p in right.values()) > 0.8
assert standing.returns.mean() > 475
