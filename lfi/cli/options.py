"""Options that several commands share."""

from typing import Annotated

import typer

JsonOutput = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON, and nothing else.")
]
