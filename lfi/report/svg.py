"""Figures as SVG inside a page: small, with text as text, in the colours of the page's theme.

Matplotlib's colours become variables of CSS, so that a figure follows the page from light to dark.
Names in the drawing are made from its content, so that several figures do not disturb each other
and the same figure is always the same text.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lfi.report.plots.style import DATA, EDGE, FILLS, INK, POSTERIOR, PRIOR, RULE, TICK, styled

DENSE = 5_000  # points of one artist from which it becomes an image: as SVG they would be megabytes
RASTER_DPI = 200
VARIABLES = {
    POSTERIOR: "posterior",
    PRIOR: "prior",
    DATA: "data",
    INK: "ink",
    RULE: "rule",
    FILLS[0]: "fill-95",
    FILLS[1]: "fill-80",
    FILLS[2]: "fill-50",
    EDGE: "edge",
    TICK: "tick",
    "#ffffff": "paper",
    "#000000": "ink",
}
XLINK = "{http://www.w3.org/1999/xlink}href"
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
COLOUR = re.compile(r"#[0-9a-f]{6}\b")
REFERENCE = re.compile(r"url\(#([^)]+)\)")


def svg_of(figure: Figure, alt: str) -> str:
    """Return the figure as an element of HTML, with `alt` as what it says to those who see none."""
    buffer = io.StringIO()
    with styled(), _dense_as_image(figure):
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lfi"})
        figure.savefig(buffer, format="svg", dpi=RASTER_DPI, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    _plain_names(root)
    _without_metadata(root)
    width, height = figure.get_size_inches()
    box = root.attrib["viewBox"]
    root.attrib = {
        "class": "plot",
        "role": "img",
        "aria-label": alt,
        "viewBox": box,
        "width": f"{96 * width:.0f}",
        "height": f"{96 * height:.0f}",
    }
    for element in root.iter():
        _shorten(element)
    _share_styles(root)
    _own_names(root)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


@contextmanager
def _dense_as_image(figure: Figure) -> Iterator[None]:
    """Draw what has very many points as an image, inside."""
    dense = [artist for artist in figure.findobj() if _points(artist) > DENSE]
    before = [artist.get_rasterized() for artist in dense]
    for artist in dense:
        artist.set_rasterized(True)
    yield
    for artist, kept in zip(dense, before, strict=True):
        artist.set_rasterized(kept)


def _points(artist: Artist) -> int:
    """Return how many marks an artist draws."""
    if isinstance(artist, Line2D):
        marked = artist.get_marker() not in ("None", "", " ", None)
        return np.asarray(artist.get_xdata()).size if marked else 0
    if not isinstance(artist, PathCollection):
        return 0
    return np.asarray(artist.get_offsets()).size // 2


def _plain_names(root: Element) -> None:
    """Leave out the namespaces, which HTML knows by itself."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if XLINK in element.attrib:
            element.attrib["href"] = element.attrib.pop(XLINK)


def _without_metadata(root: Element) -> None:
    """Leave out the metadata, and the style that would hold for the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style"):
                parent.remove(child)


def _shorten(element: Element) -> None:
    """Round coordinates to a hundredth of a point, and make colours the page's."""
    for key in ("d", "x", "y", "transform", "points"):
        if key in element.attrib:
            value = LONG_NUMBER.sub(lambda m: f"{float(m[0]):.2f}", element.attrib[key])
            element.attrib[key] = " ".join(value.split())
    if element.attrib.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    if "style" in element.attrib:
        element.attrib["style"] = COLOUR.sub(_variable, element.attrib["style"])
    if element.tag != "text":
        element.text = (element.text or "").strip()
    element.tail = ""


def _variable(match: re.Match[str]) -> str:
    name = VARIABLES.get(match[0])
    return match[0] if name is None else f"var(--{name})"


def _share_styles(root: Element) -> None:
    """Give marks that look alike their style once."""
    for group in root.iter("g"):
        styles = {mark.attrib.get("style") for mark in group}
        if len(group) > 1 and all(mark.tag == "use" for mark in group) and len(styles) == 1:
            (style,) = styles
            if style is not None:
                group.attrib["style"] = style
                for mark in group:
                    del mark.attrib["style"]


def _own_names(root: Element) -> None:
    """Keep the names that are referred to, made unique in a page; leave out the others."""
    used = {
        *(element.attrib["href"][1:] for element in root.iter("use")),
        *(name for element in root.iter() for name in _referred(element)),
    }
    digest = hashlib.sha256(ElementTree.tostring(root)).hexdigest()[:8]
    new = {name: f"f{digest}-{i}" for i, name in enumerate(sorted(used))}
    for element in root.iter():
        if "id" in element.attrib:
            if element.attrib["id"] in new:
                element.attrib["id"] = new[element.attrib["id"]]
            else:
                del element.attrib["id"]
        if element.tag == "use":
            element.attrib["href"] = f"#{new[element.attrib['href'][1:]]}"
        for key in ("clip-path", "style", "fill", "mask"):
            if key in element.attrib:
                element.attrib[key] = REFERENCE.sub(
                    lambda m: f"url(#{new[m[1]]})", element.attrib[key]
                )


def _referred(element: Element) -> list[str]:
    return [name for value in element.attrib.values() for name in REFERENCE.findall(value)]
