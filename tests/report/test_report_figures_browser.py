"""Figures in a real browser: their theme, on paper, on a telephone, for everybody, and in any script."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

NAMES = ("客户年龄", "متوسط الرصيد", "จำนวนการซื้อ", "plain")
TEXT = "return getComputedStyle(document.querySelector('#figure-segments_map g:has(> use[href^=\"#DejaVu\"])')).fill"
GROUND = "return getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def page(browser: Any, new_study: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from segkit.report import build

    study = new_study(n=120, columns=NAMES)
    for k in (2, 3, 4):
        scores = {"silhouette_reference": 0.1 * k, "silhouette_native": 0.2, "stability_ari": 0.9, "rank": 5 - k}
        run = study.add(study.truth % k, **scores, **{"clusterer.n_clusters": k, "stability_jaccard": "[0.9, 0.8]"})
    study.recommend(run)
    study.profiled = run
    study.planes = {"pca-1": ("all > pca", study.scaled[:, :2], [run])}
    folder = study.write(tmp_path_factory.mktemp("figures") / "study")
    study.frame.assign(id=study.ids).to_parquet(folder / "customers.parquet", index=False)
    return opened(browser, build(folder))


def opened(browser: Any, path: Any) -> Any:
    browser.get_log("browser")
    browser.get(path.as_uri())
    return browser


def media(page: Any, name: str = "screen", dark: bool = False, width: int = 1200) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": name, "features": [scheme]})


def rgb(told: str) -> np.ndarray:
    return np.array([float(part) for part in told[told.index("(") + 1 : -1].split(",")[:3]]) / 255


def contrast(first: str, second: str) -> float:
    linear = [np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in map(rgb, (first, second))]
    low, high = sorted(float(c @ [0.2126, 0.7152, 0.0722]) for c in linear)
    return (high + 0.05) / (low + 0.05)


def test_figures_follow_the_theme_and_are_light_on_paper(page):
    grounds = []
    for name, dark in (("screen", False), ("screen", True), ("print", True)):
        media(page, name, dark)
        ground = page.execute_script(GROUND)
        grounds.append(ground)
        assert contrast(page.execute_script(TEXT), ground) > 10
    assert rgb(grounds[0]).min() > 0.95
    assert rgb(grounds[1]).max() < 0.1
    assert grounds[2] == grounds[0]
    media(page)
    assert page.get_log("browser") == []


def test_on_a_telephone_figures_keep_their_size_and_scroll_in_their_own_box(page):
    media(page, width=400)
    wide = "return [...document.querySelectorAll('.drawing')].map((d) => [d.scrollWidth - d.clientWidth, d.id])"
    assert max(over for over, _ in page.execute_script(wide)) > 50
    assert page.execute_script("return document.documentElement.scrollWidth") <= 400
    letters = "const box = document.querySelector('#figure-segments_map use').closest('g').getBoundingClientRect();"
    assert page.execute_script(f"{letters} return Math.min(box.width, box.height)") >= 8
    code = "const box = document.querySelector('#figure-segments_map .drawing'); box.focus(); box.scrollLeft = 40;"
    assert page.execute_script(f"{code} return [document.activeElement === box, box.scrollLeft]") == [True, 40]
    media(page)


def test_names_in_any_script_are_text_that_stays_in_the_figure(page):
    media(page)
    code = """return [...document.querySelectorAll('#figure-profiles text')].map((text) => {
      const own = text.getBoundingClientRect(), svg = text.closest('svg').getBoundingClientRect();
      return [text.textContent, own.left >= svg.left - 1 && own.right <= svg.right + 1];
    })"""
    assert sorted(page.execute_script(code)) == sorted([name, True] for name in NAMES[:3])


@pytest.mark.parametrize("dark", [False, True])
def test_figures_are_for_everybody(page, axe, dark):
    media(page, dark=dark, width=400)
    page.execute_script(axe)
    time.sleep(0.2)
    found = page.execute_async_script(
        "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then((r) => done(r.violations"
        ".filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => [v.id, v.nodes.map((n) => n.html)])))"
    )
    assert found == []
    media(page)
