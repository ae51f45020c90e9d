"""Tables: kinds of columns, the encoding of a table as vectors, and fitted generators."""

from lfi.generation import (
    Categorical as Categorical,
    Numeric as Numeric,
    Positive as Positive,
    TableEncoding as TableEncoding,
    TableGenerator as TableGenerator,
    Whole as Whole,
)
