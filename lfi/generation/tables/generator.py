"""Fitted generators of tables: rows of a frame out, of the data's kinds and dtypes."""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from lfi.generation.generator import Generator
from lfi.generation.tables.encoding import TableEncoding
from lfi.numerics.arguments import checked
from lfi.runtime import Contents, Described, Saved
from lfi.training import History

if TYPE_CHECKING:
    from lfi.generation.tables.forms import NewTable

INNER = "inner."  # before the names of the generator's tensors in a file


class TableGenerator(Described, Saved):
    """A fitted generator of tables, as `lfi.fit_generator` returns it of a table.

    Attributes:
        encoding: The map of tables to vectors and back.
        generator: The generator of vectors.
        history: How it was trained.
    """

    def __init__(self, encoding: TableEncoding, generator: Generator) -> None:
        self.encoding: TableEncoding = encoding
        self.generator: Generator = generator

    @property
    def history(self) -> History | None:
        """How it was trained."""
        return self.generator.history

    @checked
    def sample(self, n: int, *, chunk_size: int = 16_384, seed: int | None = None) -> "NewTable":
        """Draw a table of n rows, in the form and the dtypes of the data.

        Args:
            n: How many.
            chunk_size: How many rows are drawn at once.
            seed: None takes fresh entropy.

        Raises:
            ValueError: If n is negative.
        """
        return self.encoding.decode(self.generator.sample(n, chunk_size=chunk_size, seed=seed))

    def describe(self) -> str:
        """Return its columns, and how it was trained, in words."""
        first, *columns = self.encoding.describe().split("\n")
        return "\n".join([f"generator of a {first}", *columns, f"  {self.generator.describe()}"])

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec, tensors = self.generator._spec()
        encoding, knots = self.encoding._spec()
        inner = {INNER + name: tensor for name, tensor in tensors.items()}
        return {"generator": spec, "encoding": encoding}, inner | knots

    @classmethod
    def _restore(cls, contents: Contents) -> "TableGenerator":
        spec = contents.spec
        encoding = TableEncoding._restore(spec["encoding"], contents.tensors)
        generator = Generator._restore(contents.part("Generator", spec["generator"], INNER))
        if generator.shape != (sum(encoding.widths),):
            raise ValueError("its generator does not fit its columns")
        return cls(encoding, generator)
