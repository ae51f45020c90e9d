"""Figures as SVG: text as text, the page's colours, and nothing that disturbs another figure."""

import re
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from lfi.report.blocks import embed
from lfi.report.plots.style import DATA, PAGE, PHONE, POSTERIOR, new_figure
from lfi.report.svg import DENSE, svg_of


def lines(points=3, **look):
    with new_figure(2.0, 1.0) as figure:
        axes = figure.subplots()
        axes.plot(np.linspace(0, 1, points), np.linspace(0, 1, points), **look)
    return figure


class Balanced(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_figure_is_an_element_of_its_size_with_its_words():
    text = svg_of(lines(), "A line & more")
    assert text.startswith('<svg class="plot" role="img" aria-label="A line &amp; more"')
    assert 'width="192" height="96"' in text  # CSS pixels: 96 to the inch
    assert "text" in Balanced(text).tags
    assert not {"metadata", "style", "script"} & set(Balanced(text).tags)


def test_markup_in_text_stays_text():
    figure = lines()
    figure.axes[0].set_title("<script>alert(1)</script> & <b>")
    text = svg_of(figure, '"><script>')
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in text


def test_colours_of_the_library_are_variables_of_the_page():
    text = svg_of(lines(color=POSTERIOR, marker="o", markerfacecolor="white"), "")
    assert "stroke: var(--posterior)" in text
    assert "fill: var(--paper)" in text
    assert POSTERIOR not in text
    assert "#123456" in svg_of(lines(color="#123456"), "")


def test_names_are_of_the_drawing_alone_and_all_are_referred_to():
    first, second = (svg_of(lines(color=c, marker="o"), "") for c in (POSTERIOR, DATA))
    names = [set(re.findall(r' id="([^"]+)"', text)) for text in (first, second)]
    assert names[0] and not names[0] & names[1]
    for text, own in zip((first, second), names, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', text)) == own


def test_the_same_figure_is_the_same_text():
    assert svg_of(lines(marker="o"), "") == svg_of(lines(marker="o"), "")


@pytest.mark.parametrize("points", [DENSE - 1, DENSE + 1])
def test_very_many_points_become_an_image(points):
    figure = lines(points, marker="o", linestyle="none")
    text = svg_of(figure, "")
    assert ("<image" in text) == (points > DENSE)
    assert not figure.axes[0].lines[0].get_rasterized()
    if points > DENSE:
        assert 'href="data:image/png;base64,' in text
        assert len(text) < 60_000


def test_settings_of_the_caller_are_left_alone():
    before = dict(matplotlib.rcParams)
    svg_of(lines(), "")
    assert dict(matplotlib.rcParams) == before


def test_a_function_is_drawn_for_a_desk_and_for_a_telephone():
    widths = []

    def draw(width):
        widths.append(width)
        with new_figure(width, 1.0) as figure:
            figure.subplots()
        return figure

    image = embed(draw, "alt", "caption")
    assert widths == [PAGE, PHONE]
    assert f'width="{96 * PHONE:.0f}"' in str(image.narrow)
    assert embed(Figure(figsize=(2, 1)), "alt", "caption").narrow is None
