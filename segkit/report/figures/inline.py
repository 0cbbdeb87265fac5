"""A drawn picture as a part of the page: without a style of its own, and in colours that follow the page's theme."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from io import BytesIO
from xml.etree import ElementTree

_SVG, _HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_PNG = "data:image/png;base64,"
_REFERENCE = re.compile(r"#([^)\s]+)")
_LONG_NUMBER = re.compile(r"(-?\d+\.\d\d)\d+")
_SHIFT = re.compile(r"translate\((-?[\d.]+)(?: (-?[\d.]+))?\)")
_SIZE = re.compile(r"([\d.]+)px")
_NUMBERS = ("d", "x", "y", "width", "height")
_DROPPED = ("metadata", "style", "title")
_USELESS = ("style", "version", "type", "{http://www.w3.org/XML/1998/namespace}space")
_LETTER = "scale(0.015625)"
_PIXELS = 96 / 72


def inlined(svg: str, name: str, themed: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Make an element of the page of a picture.

    Parameters
    ----------
    svg : str
        The picture as matplotlib writes it.
    name : str
        Unlike any other picture's in the page: ids begin with it.
    themed : mapping
        What stands in place of which colours.

    Returns
    -------
    element : str
        Without ``style``, which the page's policy forbids.
    glyphs : dict
        The letters that it is written with: the path of each by its id, which is the same in every picture.
    """
    root = ElementTree.fromstring(svg)
    glyphs: dict[str, str] = {}
    _reduce(root, glyphs)
    for element in root.iter():
        _plain(element, themed)
    used = {name for element in root.iter() for name in _references(element)}
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                # Of no use but to be referred to.
                _put(element, key, f"{name}-{value}" if value in used else None)
            elif "#" in value and key in ("href", "clip-path"):
                element.set(key, _REFERENCE.sub(lambda told: f"#{_own(told[1], name, glyphs)}", value))
    _unwrap(root)
    for side in ("width", "height"):
        root.set(side, f"{float(root.get(side, '0').removesuffix('pt')) * _PIXELS:.0f}")
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    return ElementTree.tostring(root, encoding="unicode"), glyphs


def _own(reference: str, name: str, glyphs: Mapping[str, str]) -> str:
    return reference if reference in glyphs else f"{name}-{reference}"


def _references(element: ElementTree.Element) -> Iterator[str]:
    for key in ("href", "clip-path"):
        yield from _REFERENCE.findall(element.get(key, ""))


def _reduce(element: ElementTree.Element, glyphs: dict[str, str]) -> None:
    """Leave out what does not show, and set the letters' paths aside."""
    for child in list(element):
        kind = child.tag.removeprefix(_SVG)
        identity = child.get("id", "")
        if kind in _DROPPED:
            element.remove(child)
        elif kind == "path" and child.get("transform") == _LETTER:
            glyphs[identity] = _path(child.get("d", ""))
            element.remove(child)
        else:
            _reduce(child, glyphs)


def _plain(element: ElementTree.Element, themed: Mapping[str, str]) -> None:
    """Turn a style into attributes, and leave out what says nothing."""
    element.tag = element.tag.removeprefix(_SVG)
    for pair in filter(None, element.get("style", "").split(";")):
        key, _, value = (part.strip() for part in pair.partition(":"))
        if key in ("font", "font-size"):
            element.set("font-size", _SIZE.search(value)[1])
        elif key != "font-family":
            element.set(key, value)
    for key in _USELESS:
        element.attrib.pop(key, None)
    for key in ("fill", "stroke"):
        if element.get(key) in themed:
            element.set(key, themed[element.get(key)])
    if _HREF in element.attrib:
        element.set("href", element.attrib.pop(_HREF))
    if element.tag == "image" and element.get("href", "").startswith(_PNG):
        element.set("href", _PNG + b64encode(few_colours(b64decode(element.get("href")[len(_PNG) :]))).decode())
    elif element.tag == "use":
        _shifted(element)
    elif element.tag == "text":
        _upright(element)
    for key in _NUMBERS:
        if key in element.attrib:
            element.set(key, _path(element.get(key)))
    element.text = element.text if element.tag == "text" else None
    element.tail = None


def _shifted(element: ElementTree.Element) -> None:
    """Write the place of a letter shortly."""
    found = _SHIFT.fullmatch(element.get("transform", ""))
    if found and not {"x", "y"} & set(element.attrib):
        del element.attrib["transform"]
        for key, value in zip("xy", found.groups(), strict=True):
            if value and float(value):
                element.set(key, value)


def _upright(element: ElementTree.Element) -> None:
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _path(numbers: str) -> str:
    return " ".join(_LONG_NUMBER.sub(r"\1", numbers).split())


def _put(element: ElementTree.Element, key: str, value: str | None) -> None:
    if value is None:
        del element.attrib[key]
    else:
        element.set(key, value)


def _unwrap(element: ElementTree.Element) -> None:
    """Take groups apart that have nothing in common, and leave empty ones out."""
    kept: list[ElementTree.Element] = []
    for child in element:
        _unwrap(child)
        if child.tag in ("g", "defs") and not len(child):
            continue
        kept += list(child) if child.tag == "g" and not child.attrib else [child]
    element[:] = kept


def few_colours(png: bytes) -> bytes:
    """Reduce points drawn on nothing to 256 colours, more or less transparent: a third of the size."""
    from PIL import Image

    buffer = BytesIO()
    image = Image.open(BytesIO(png)).convert("RGBA")
    image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue() if buffer.tell() < len(png) else png
