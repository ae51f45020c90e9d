"""Networks of one shape side by side: several seeds train as one batched computation.

The weights of M networks are stacked along a leading axis, and one call computes all of them:

    rows of member 1, rows of member 2, ...  (M n, *event)  ->  (M n, *out)

A small network is bound by the number of operations, not by their size. Rows stay rows, so that
losses and penalties need not know of members.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state


class StackedModules(nn.Module):
    """Networks of one shape, each applied to its own rows, which must be shared out evenly.

    torch refuses batch normalisation in training, whose running means change in the call.

    Example:
        >>> lines = [nn.Linear(2, 1), nn.Linear(2, 1)]
        >>> x = torch.ones(6, 2)
        >>> both = StackedModules(lines)(x)  # three rows of each
        >>> torch.allclose(both, torch.cat([lines[0](x[:3]), lines[1](x[3:])]))
        True
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        shapes = {
            tuple((name, *tensor.shape) for name, tensor in module.state_dict().items())
            for module in modules
        }
        if len(shapes) != 1:
            raise ValueError(f"modules: {len(modules)} networks of {len(shapes)} different shapes")
        self.members: int = len(modules)
        parameters, buffers = stack_module_state(list(modules))
        self._template = (copy.deepcopy(modules[0]).to("meta"),)  # in a tuple: not a submodule
        self._parameter_names, self._buffer_names = tuple(parameters), tuple(buffers)
        for name, tensor in parameters.items():
            self.register_parameter(_flat(name), nn.Parameter(tensor.detach()))
        for name, tensor in buffers.items():
            self.register_buffer(_flat(name), tensor)

    def train(self, mode: bool = True) -> "StackedModules":
        """Set training or evaluation mode."""
        self._template[0].train(mode)
        return super().train(mode)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return every network's values of its own rows, (M n, *event) to (M n, *out)."""
        rows = len(inputs[0])
        if rows % self.members:
            raise ValueError(f"{rows} rows cannot be shared out evenly to {self.members} networks")
        shared = [x.unflatten(0, (self.members, -1)) for x in inputs]
        state = {n: getattr(self, _flat(n)) for n in self._parameter_names + self._buffer_names}

        def one(state: dict[str, Tensor], *inputs: Tensor) -> Tensor:
            return functional_call(self._template[0], state, inputs)

        return torch.func.vmap(one, randomness="different")(state, *shared).flatten(0, 1)

    def member(self, index: int) -> nn.Module:
        """Return one network; it shares its weights with the others' stack."""
        module = copy.deepcopy(self._template[0])
        for name in self._parameter_names:
            owner, leaf = _owner(module, name)
            owner._parameters[leaf] = nn.Parameter(getattr(self, _flat(name)).data[index])
        for name in self._buffer_names:
            owner, leaf = _owner(module, name)
            owner._buffers[leaf] = getattr(self, _flat(name))[index]
        return module.train(self.training)


def stack_modules(modules: Sequence[nn.Module]) -> nn.Module:
    """Return the networks side by side, or the only one itself."""
    return modules[0] if len(modules) == 1 else StackedModules(modules)


def unstack_modules(module: nn.Module) -> list[nn.Module]:
    """Return the networks of which `stack_modules` has made the module; they share its weights."""
    if isinstance(module, StackedModules):
        return [module.member(i) for i in range(module.members)]
    return [module]


def _flat(name: str) -> str:
    return "stacked " + name.replace(".", "/")


def _owner(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, leaf = name.rpartition(".")
    return module.get_submodule(path), leaf
