"""The modes of torch that public functions compute in, whatever those of their caller.

Tensors are made on the CPU, never on a default device; they are ordinary ones under
`torch.inference_mode()` too; and what fits or draws computes gradients under `torch.no_grad()`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch

PLAIN: AbstractContextManager[None] = nullcontext()


def own_modes(*, gradients: bool) -> AbstractContextManager[object]:
    """Return a context in lfi's modes; without `gradients`, they are computed if the caller wants.

    Example:
        >>> with torch.inference_mode(), own_modes(gradients=True):
        ...     torch.ones(1, requires_grad=True).mul(2).requires_grad
        True
    """
    inference, off = torch.is_inference_mode_enabled(), not torch.is_grad_enabled()
    # a default device is on the stack of modes; to ask for it takes 6 microseconds
    elsewhere = torch._C._len_torch_function_stack() and torch.get_default_device().type != "cpu"
    if not (inference or elsewhere or (gradients and off)):
        return PLAIN
    stack = ExitStack()
    if elsewhere:
        stack.enter_context(torch.device("cpu"))
    if inference:
        stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.set_grad_enabled(gradients or not off))
    return stack


@contextmanager
def single_thread() -> Iterator[None]:
    """Compute on one thread inside: sums then do not depend on how many cores there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
