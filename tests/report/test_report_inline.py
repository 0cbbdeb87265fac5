"""What figures become in the page: themed, without a style, shared letters; names in any script as text or as paths."""

from __future__ import annotations

import logging
import re
import warnings
from base64 import b64decode, b64encode
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors as mpl_colors
from PIL import Image

from segkit.report import drawings, figures
from segkit.report.characters import uncommon
from segkit.report.drawings import drawn, to_draw
from segkit.report.figures import fonts, style
from segkit.report.figures.canvas import text_width
from segkit.report.figures.inline import few_colours, inlined
from segkit.report.gather import Embedding

HOSTILE = "<script>$x_{1}$ & 'ünïcödé' --> \u202eabc " + "long" * 20
NAMES = ["客户年龄", "متوسط الرصيد", "יתרה ממוצעת", "จำนวนการซื้อ", "औसत शेष", "🛒 basket", "plain", "naïve Größe"]
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="72pt" height="36pt">'
    "<metadata>m</metadata><!-- <b> --><defs><style>*{a:b}</style></defs>"
    '<g id="figure_1"><g id="patch_2"><path d="M 1.23456 -2 \nL 3.1 4" style="fill: #24292f; clip-path: url(#c)"/></g>'
    '<g id="empty"/><defs><path id="F-41" transform="scale(0.015625)" d="M 0 1"/><path id="m1" d="M 2 3"/></defs>'
    '<g><use xlink:href="#m1" x="1.999" y="2"/><use transform="translate(61.376953 0)" xlink:href="#F-41"/></g>'
    '<text style="font: 700 9.5px \'DejaVu Sans\'; text-anchor: end" transform="rotate(-0 1 2)">a &lt; b</text></g>'
    '<defs><clipPath id="c"><rect/></clipPath></defs></svg>'
)


def named(names=NAMES):
    table = pd.DataFrame(np.linspace(0, 1, 2 * len(names)).reshape(-1, 2), index=names, columns=["none", "pca"])
    return to_draw("grid", table)


def texts(element: str) -> list[str]:
    return [text.text for text in ElementTree.fromstring(element).iter() if text.tag.endswith("text")]


@pytest.fixture
def bare(monkeypatch):
    """A computer with no font but the bundled one."""
    monkeypatch.setattr(fonts, "_installed", list)
    fonts._family.cache_clear()
    yield
    fonts._family.cache_clear()


def test_a_picture_keeps_what_shows_and_loses_what_does_not():
    element, glyphs = inlined(SVG, "own", {"#24292f": "var(--ink)"})
    assert glyphs == {"F-41": "M 0 1"}
    root = ElementTree.fromstring(element)
    assert (root.get("width"), root.get("height")) == ("96", "48")
    path = root.find("path")
    assert path.attrib == {"d": "M 1.23 -2 L 3.1 4", "fill": "var(--ink)", "clip-path": "url(#own-c)"}
    assert {e.get("id") for e in root.iter() if e.get("id")} == {"own-m1", "own-c"}
    assert [use.attrib for use in root.iter("use")] == [
        {"x": "1.99", "y": "2", "href": "#own-m1"},
        {"x": "61.37", "href": "#F-41"},
    ]
    assert root.find("text").attrib == {"font-size": "9.5", "text-anchor": "end"}
    assert root.find("text").text == "a < b"
    assert not re.search(r"style|metadata|<!--|patch_2|empty|\n", element)


def test_every_colour_of_a_figure_follows_the_theme_or_shows_on_both_grounds():
    def contrast(first, second):
        light = [
            np.where((c := np.array(mpl_colors.to_rgb(x))) <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
            @ [0.2126, 0.7152, 0.0722]
            for x in (first, second)
        ]
        return (max(light) + 0.05) / (min(light) + 0.05)

    dark = "#0d1117"
    assert all(contrast(tint, dark) >= 3 for tint in (*style.COLOURS, style.NOISE, style.GREY))
    assert contrast(style.GREY, "#ffffff") >= 3
    element, _ = figures.to_inline(named()(), "grid")
    assert not any(colour in element for colour in style.THEMED)
    assert "var(--ink)" in element
    assert "var(--ground)" in element


def test_files_stay_on_white(tmp_path):
    png = drawn(named(["a"]), "grid", ["png"], None).files["png"]
    assert Image.open(BytesIO(png)).convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_few_colours_keep_hue_and_transparency():
    points = np.zeros((64, 64, 4), dtype=np.uint8)
    points[8:24, 8:24] = (138, 69, 245, 190)
    points[40:56, 40:56] = (255, 169, 14, 255)
    buffer = BytesIO()
    Image.fromarray(points).save(buffer, "png")
    kept = np.array(Image.open(BytesIO(few_colours(buffer.getvalue()))).convert("RGBA")).astype(int)
    assert kept[0, 0, 3] == 0
    assert np.abs(kept[10, 10] - points[10, 10]).max() <= 16
    assert np.abs(kept[50, 50] - points[50, 50]).max() <= 16


def test_points_are_pixels_on_nothing():
    plane = Embedding("umap-1", "all > umap", "abc", np.random.default_rng(0).normal(size=(500, 2)), np.arange(500) % 3)
    element, _ = figures.to_inline(figures.embeddings([plane], {"abc": "x"}), "map")
    [data] = re.findall(r'href="data:image/png;base64,([^"]*)"', element)
    alpha = np.array(Image.open(BytesIO(b64decode(data))).convert("RGBA"))[..., 3]
    assert (alpha == 0).mean() > 0.3
    assert alpha.max() > 150
    assert b64encode(b64decode(data)).decode() == data


def test_names_of_other_scripts_are_text_in_the_page_and_plain_ones_are_paths(bare):
    image = drawn(named(), "grid", ["png"], None)
    assert set(texts(image.element)) == set(NAMES[:6])
    assert "script" not in drawn(named([HOSTILE]), "grid", ["png"], None).element.replace("&lt;script&gt;", "")
    assert texts(drawn(named(["plain", "naïve Größe"]), "grid", ["png"], None).element) == []


def test_a_file_tells_names_apart_that_no_font_here_writes(bare, monkeypatch):
    drawn_names = []
    render = figures.to_png
    monkeypatch.setattr(figures, "to_png", lambda figure: drawn_names.append(ticks(figure)) or render(figure))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(named(), "grid", ["png"], None)
    [told] = drawn_names
    assert told[0] == "[5BA2 6237 5E74 9F84]"
    assert told[1:3] == NAMES[1:3]
    assert told[5:] == ["[1F6D2] basket", *NAMES[6:]]
    assert len(set(told)) == len(NAMES)


def ticks(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_a_font_that_has_the_letters_writes_them(monkeypatch):
    has = fonts._has

    def pretended(family, letter):
        return letter in "客户年龄" if family == "Liberation Sans" else has(family, letter)

    entry = next(e for e in fonts.fontManager.ttflist if e.name == "DejaVu Sans Mono")
    monkeypatch.setattr(fonts, "_has", pretended)
    monkeypatch.setattr(fonts, "_installed", lambda: [type(entry)(fname=entry.fname, name="Liberation Sans")])
    fonts._family.cache_clear()
    assert fonts.families("客户年龄x") == [fonts.BUNDLED, "Liberation Sans"]
    assert fonts.unwritable("客户年龄x购") == {"购"}
    fonts._family.cache_clear()


def test_plain_names_ask_no_font(monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: pytest.fail("the fonts were looked through"))
    assert fonts.families(uncommon(named(["plain", "naïve −1 · Größe", "Ж", "سل"]).arguments)) == [fonts.BUNDLED]


def test_nothing_is_said_on_the_console(bare, caplog, capfd):
    with caplog.at_level(logging.WARNING):
        drawn(named(), "grid", ["png", "pdf"], None)
    assert caplog.text == ""
    assert capfd.readouterr().err == ""


def test_other_fonts_are_another_figure(monkeypatch):
    plain = drawings._key(named(["plain"]), "grid", ["png"])
    before = drawings._key(named(), "grid", ["png"])
    monkeypatch.setattr(figures, "families", lambda letters: ["another"])
    assert drawings._key(named(), "grid", ["png"]) != before
    assert drawings._key(named(["plain"]), "grid", ["png"]) == plain


def test_letters_are_found_however_deep():
    frame = pd.DataFrame({"客": [1.0, 2], "b": ["ж", None], "c": pd.Categorical(["x", "ש"])}, index=["a", "年"])
    plane = Embedding("é", "سل", "abc", np.zeros((1, 2)), np.zeros(1, dtype=int))
    value = (frame, [plane], {"龄": ("−", 3)}, np.array(["購"], dtype=object), None, True)
    assert uncommon(value) == frozenset("客жש年سل龄−購")


def test_long_names_are_cut_by_the_room_they_take():
    assert style.clipped("非" * 40, 28).count("非") <= 14
    assert style.clipped("a" * 40, 28) == "a" * 21 + "…" + "a" * 6
    assert max(map(len, style.wrapped("非" * 40, 16, 3).split("\n"))) <= 8
    assert style.clipped("a\u200db\u202ec") == "a\u200db c"
    assert text_width("年龄") > 1.5 * text_width("ab")
    assert text_width("ก็") == text_width("ก")
