"""Commands that compute nothing: `lfi list`, `lfi new`, `lfi doctor`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from lfi.cli.options import JsonOutput
from lfi.cli.sources import available_data, available_simulators

EXAMPLE = Path(__file__).with_name("new_simulator.txt")


def list_simulators(as_json: JsonOutput = False) -> None:
    """List the simulators, and the data sets for generators."""
    names, data = available_simulators(), available_data()
    if as_json:
        typer.echo(json.dumps({"simulators": names, "data": data}, indent=1))
        return
    width = max(map(len, [*names, *data]))
    for name, line in names.items():
        typer.echo(f"{name:<{width}}  {line}")
    typer.echo("\nData for generators, without parameters:\n")
    for name, line in data.items():
        line = line.removeprefix("Data for generators: ")
        typer.echo(f"{name:<{width}}  {line[:1].upper()}{line[1:]}")


def new_simulator(
    file: Annotated[Path, typer.Argument(help="The file to write, such as my_sim.py.")],
) -> None:
    """Write a commented simulator to a new file, which runs as it is."""
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise ValueError(f"FILE: got {file}, expected a name such as my_sim.py")
    text = EXAMPLE.read_text(encoding="utf-8").replace("{file}", file.name)
    try:
        with file.open("x", encoding="utf-8") as written:  # nothing is written over
            written.write(text)
    except FileExistsError as error:
        raise ValueError(f"{file} exists: give another name, or remove it first") from error
    typer.echo(f"{file} is written; run it as it is, or edit it first: lfi run {file}")


def doctor(as_json: JsonOutput = False) -> None:
    """Tell versions, cores, memory, devices, optional parts, and what is missing."""
    from lfi.cli.doctor import examine

    found = examine(Path.cwd())
    if as_json:
        typer.echo(json.dumps({"ok": found.ok, **dataclasses.asdict(found)}, indent=1))
    else:
        typer.echo("\n".join(found.lines()))
    raise typer.Exit(0 if found.ok else 1)
