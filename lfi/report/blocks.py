"""What a report is made of: sections of text, figures and tables, those of the user's own too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from lfi.diagnostics.verdict import Verdict
from lfi.numerics.arguments import checked
from lfi.report.plots.style import PAGE, PHONE
from lfi.report.svg import svg_of

Row = tuple[str | Verdict, ...]


@dataclass(frozen=True)
class Text:
    """A paragraph, or lines that are set as they are."""

    text: str
    formula: bool = False


@dataclass(frozen=True)
class Image:
    """A figure as SVG, drawn for a desk and for a telephone; without the latter it scrolls."""

    wide: Markup
    narrow: Markup | None
    caption: str


@dataclass(frozen=True)
class ReportTable:
    """A table of text: `Verdict` cells are coloured, cells after the first right if `numeric`.

    Columns called in `words` hold text and stand left.
    """

    header: tuple[str, ...]
    rows: Sequence[Row]
    caption: str
    numeric: bool = True
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A part of the page, with a finding of one sentence that the summary repeats.

    Attributes:
        anchor: Its name in links, of letters, digits and hyphens.
        title: Its heading.
        finding: What was found, in a sentence.
        verdict: Whether all is well; None where there is no rule. It counts in the page's one.
        blocks: Figures, from `lfi.report.embed`, tables and paragraphs.
        code: A command, set as it is.

    Example:
        >>> section = lfi.report.Section(
        ...     "wards", "Wards", finding="The wards differ.",
        ...     blocks=(lfi.report.ReportTable(("ward", "beds"), (("A", "12"),), "Beds."),))
        >>> section.title
        'Wards'
    """

    anchor: str
    title: str
    finding: str = ""
    verdict: Verdict | None = None
    blocks: tuple[Image | ReportTable | Text, ...] = ()
    code: str = ""


@checked
def embed(figure: Figure | Callable[[float], Figure], alt: str, caption: str) -> Image:
    """Return a figure that lies inside the page, for `Section.blocks`.

    Args:
        figure: A figure of matplotlib, or a function that draws it to a width in inches: it is
            called for a desk and for a telephone, so that text stays legible on both.
        alt: What the figure shows, for those who do not see it.
        caption: What stands below.

    Example:
        >>> figure = lfi.plots.pair_plot(torch.randn(500, 2), ["a", "b"])
        >>> image = lfi.report.embed(figure, "Pairs of a and b", "The posterior.")
        >>> image.wide[:4]
        Markup('<svg')
    """
    if isinstance(figure, Figure):
        return Image(Markup(svg_of(figure, alt)), None, caption)
    wide, narrow = (Markup(svg_of(figure(width), alt)) for width in (PAGE, PHONE))
    return Image(wide, narrow, caption)


def sentence(text: str) -> str:
    """Return the text with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."
