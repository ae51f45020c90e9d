"""The context of `torch.autograd.Function`, with the types that torch leaves out."""

from abc import ABC, abstractmethod

from torch import Tensor
from torch.autograd.function import FunctionCtx


class FunctionContext(ABC):
    """What `forward` leaves for `backward`; subclasses name further attributes."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    @classmethod
    def __subclasshook__(cls, subclass: type) -> bool:
        return issubclass(subclass, FunctionCtx)

    @abstractmethod
    def save_for_backward(self, *tensors: Tensor) -> None:
        """Save tensors."""
