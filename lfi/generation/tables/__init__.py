"""Generators of tables: columns of numbers, of whole numbers and of categories."""

from lfi.generation.tables.encoding import TableEncoding as TableEncoding
from lfi.generation.tables.generator import TableGenerator as TableGenerator
from lfi.generation.tables.kinds import (
    Categorical as Categorical,
    Numeric as Numeric,
    Positive as Positive,
    Whole as Whole,
)
