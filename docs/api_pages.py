"""Pages of the API: one for each namespace, each public name once, from the docstrings."""

import inspect
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import jupytext
from nbformat import NotebookNode

import lfi

NAMESPACES = tuple(  # files beside the stub that re-export what users take from a room
    name for name in lfi.__all__ if (Path(lfi.__file__).parent / f"{name}.py").is_file()
)
ROOMS = (
    "simulation",
    "inference",
    "diagnostics",
    "ratio",
    "generation",
    "comparison",
    "report",
    "training",
    "networks",
)
SAMPLES = (
    "~torch.Tensor | ~numpy.ndarray | ~collections.abc.Sequence[~typing.Any]"
    " | ~lfi.numerics.arrays.DataFrame"
)
MARKUP = re.compile(r"`[^`]*`|[*|]")  # code, or what reStructuredText would take for markup
ROUTING = re.compile(r"set_\w+_request|get_metadata_routing")  # scikit-learn adds them
JAXTYPING = re.compile(r"~?jaxtyping\.")


def public_names(module: ModuleType) -> dict[str, object]:
    """Return what a namespace exports, without modules."""
    names = dir(module) if module is lfi else vars(module)
    found = {name: getattr(module, name) for name in names if not name.startswith("_")}
    return {name: value for name, value in found.items() if not inspect.ismodule(value)}


@cache
def contents() -> dict[str, tuple[str, ...]]:
    """Return the names of each page: a name is where a user meets it first."""
    documented: set[int] = set()
    pages = {}
    for path in ("lfi", *(f"lfi.{name}" for name in (*NAMESPACES, *ROOMS))):
        module = lfi if path == "lfi" else getattr(lfi, path.removeprefix("lfi."))
        new = {
            name: value
            for name, value in public_names(module).items()
            if callable(value) and inspect.getdoc(value) and id(value) not in documented
        }
        documented |= {id(value) for value in new.values()}
        pages[path] = tuple(sorted(new, key=lambda name: (name.islower(), name.lower())))
    return pages


@cache
def public_paths() -> dict[str, str]:
    """Return where each class is documented, by the path of its definition."""
    paths = {}
    for page, names in contents().items():
        module = lfi if page == "lfi" else getattr(lfi, page.removeprefix("lfi."))
        for name in names:
            value = getattr(module, name)
            if inspect.isclass(value):
                paths[f"{value.__module__}.{value.__qualname__}"] = f"{page}.{name}"
    return paths


def write_pages(folder: Path) -> None:
    """Write one page for each namespace, and the list of them."""
    folder.mkdir(exist_ok=True)
    for path, names in contents().items():
        write(folder / f"{path}.rst", page(path, names))
    pages = "\n   ".join(contents())
    heading = title("API")
    write(
        folder / "index.rst",
        f"{heading}\nEvery name once: verbs and main nouns in `lfi`, families in namespaces, parts"
        " that few\nneed in the room that they belong to. Samples and observations may be tensors,"
        " NumPy arrays,\nlists or data frames; signatures call them ``Samples``. Shapes are"
        " written as ``Float[Tensor, 'n d']``:\nn rows of d numbers.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n   {pages}\n",
    )


def write(path: Path, text: str) -> None:
    """Write a page where it is new, so that it is not built again in vain."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def title(text: str) -> str:
    """Return a heading."""
    return f"{text}\n{'=' * len(text)}\n"


def page(path: str, names: tuple[str, ...]) -> str:
    """Return the page of a namespace: a table of names, then each in full."""
    table = "\n   ".join(names)
    head = f"{title(path)}\n.. automodule:: {path}\n   :no-members:\n\n"
    head += f".. currentmodule:: {path}\n\n.. autosummary::\n   :nosignatures:\n\n   {table}\n\n"
    module = lfi if path == "lfi" else getattr(lfi, path.removeprefix("lfi."))
    return head + "\n".join(entry(name, getattr(module, name)) for name in names)


def entry(name: str, value: object) -> str:
    """Return the directive that documents one name."""
    if inspect.isclass(value):
        bases = ", ".join(sorted({base.__name__ for base in foreign_bases(value)} | {"object"}))
        hidden = ", ".join(member for member in dir(value) if ROUTING.fullmatch(member))
        excluded = f"   :exclude-members: {hidden}\n" if hidden else ""
        return f".. autoclass:: {name}\n   :members:\n   :inherited-members: {bases}\n{excluded}"
    return f".. autofunction:: {name}\n"


def foreign_bases(value: type) -> list[type]:
    """Return the bases that are not of lfi, whose members stand in other documentations."""
    return [base for base in value.__mro__ if not base.__module__.startswith("lfi")]


def legible(
    app: object, kind: str, name: str, value: object, options: object, signature: str, returned: str
) -> tuple[str | None, str | None]:
    """Shorten types: the public path of lfi's classes, `Samples`, shapes as they are written."""
    return _short(signature), _short(returned)


def _short(text: str | None) -> str | None:
    if not text:
        return text
    text = text.replace(SAMPLES, "Samples").replace("<factory>", "...")
    for path, public in public_paths().items():
        text = re.sub(rf"(?<![\w.]){re.escape(path)}\b", public, text)
    return JAXTYPING.sub("", text)


def plain_text(
    app: object, kind: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Take docstrings as plain text with code in backticks: (n, *event) is no emphasis."""
    verbatim: int | None = None  # the indentation that ends a literal block
    example, references = False, False
    for number, line in enumerate(lines):
        indentation = len(line) - len(line.lstrip())
        if not line.strip():
            example = False
            continue
        if verbatim is not None and indentation > verbatim:
            continue
        verbatim = indentation if line.rstrip().endswith("::") else None
        example = example or line.lstrip().startswith(">>>")
        if not example:
            lines[number] = MARKUP.sub(_escaped, line)
        references = line == "References:" or (references and indentation > 0)
        if references and indentation:  # a list, one entry of one or more lines each
            lines[number] = ("    * " if indentation == 4 else "      ") + lines[number].lstrip()


def legible_attributes(
    app: object, kind: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Shorten the types of attributes, too."""
    for number, line in enumerate(lines):
        if line.startswith(":vartype "):
            _, attribute, annotation = line.split(" ", 2)
            lines[number] = f":vartype {attribute} {MARKUP.sub(_escaped, _short(annotation) or '')}"


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith("`") else f"\\{match[0]}"


def read_tutorial(text: str) -> NotebookNode:
    """Return a tutorial as a notebook of Python."""
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return notebook
