"""The pages in the real Chromium: a job's whole way, keyboards, screen readers, small screens."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.server.auth import digest_of, make_token
from nas.server.settings import Settings
from nas.store import Store
from search_spaces.published import get_published
from tests.nas.server.conftest import wait_for
from tests.nas.server.pages.conftest import served
from tests.nas.server.pages.library import LATENCIES, PHONE

B0 = get_published("efficientnet_b0").fingerprint
SHADED = f"/front?color=latency_ms%40{PHONE}"
PATHS = (
    *("/", "/new", SHADED, "/families", "/compare", "/jobs/nosuchjob"),
    *("/jobs/imagenet-look", "/jobs/imagenet-look/trials", "/jobs/imagenet-look/trials/0"),
    *("/jobs/toy", f"/models/{B0}", "/compare?m=efficientnet_b0&m=mobilenet_v2&m=mnasnet_a1"),
    "FAMILY",
)
JOB = """\
name: walked
data: digits
space: small_images
resolution: 8
search: {trials: 4, sampler: random, objectives: [accuracy, macs], constraints: ["macs <= 400k"]}
recipe: {epochs: 1, batch_size: 64, learning_rate: 0.1}
scaling: null
execution: {executor: inline, workers: 1}
"""
HREF = "location.href"
PLOT = "document.getElementById('plot')"
# plotly.js brings styles for maps along, which no plot here needs; the policy keeps them out
KEPT_OUT = "Applying inline style violates the following Content Security Policy"


@pytest.fixture
def watched(page: Any, site: str) -> Iterator[Any]:
    """A page, of which no script fails and nothing is asked of anybody but the server."""
    said: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert [text for text in said if KEPT_OUT not in text and "404" not in text] == []
    assert [url for url in asked if not url.startswith((site, "data:", "blob:"))] == []


def family_path(site: str, page: Any) -> str:
    page.goto(f"{site}/families")
    return str(page.locator("tbody a").first.get_attribute("href"))


def test_axe_finds_no_fault_on_any_page_light_or_dark(watched: Any, site: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    family = family_path(site, watched)
    faults = {}
    for path in PATHS:
        watched.goto(site + path.replace("FAMILY", family))
        if path == SHADED:
            watched.wait_for_selector("#plot .scatterlayer path.point")
        for scheme in ("light", "dark"):
            watched.emulate_media(color_scheme=scheme)
            found = Axe().run(watched).response["violations"]
            if found:
                said = [(f["impact"], f["id"], f["nodes"][0]["html"]) for f in found]
                faults[path, scheme] = said
    assert faults == {}


def test_who_signs_in_goes_on_where_they_were(page: Any, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    token = make_token()
    url = f"sqlite:///{tmp_path}/nas.db"
    with Store.open(url) as store:
        store.create_token(digest_of(token), name="ann", scopes=("submit",), expires_at=None)
    settings = Settings(store=url, artifacts=str(tmp_path / "files"), authentication=True)
    with served(settings) as site:
        page.goto(f"{site}/families?x=1")
        assert Axe().run(page).response["violations"] == []
        page.get_by_label("Token").fill("nas_wrong")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site}/families?x=1")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/login")


def test_every_page_fits_a_narrow_screen(watched: Any, site: str) -> None:
    watched.set_viewport_size({"width": 360, "height": 740})
    family = family_path(site, watched)
    wider = {}
    for path in PATHS:
        watched.goto(site + path.replace("FAMILY", family))
        width = watched.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wider[path] = width
    assert wider == {}


def test_the_pages_read_without_scripts(browser: Any, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/front")
    assert page.locator("tbody tr").count() == 4
    page.get_by_label("MACs at most", exact=True).last.fill("400M")
    page.get_by_role("button", name="Show").click()
    assert page.locator("tbody tr").count() == 3
    page.goto(f"{site}/jobs/imagenet-look")
    assert page.locator("svg.chart circle").count() == 4
    page.get_by_role("link", name="Show it").click()
    assert page.locator("svg.chart path.line").count() == 1
    context.close()


def test_a_keyboard_is_enough(watched: Any, site: str) -> None:
    watched.goto(f"{site}/front")
    watched.wait_for_selector("#plot .scatterlayer path.point")
    watched.keyboard.press("Tab")
    assert watched.evaluate("document.activeElement.textContent") == "Skip to content"
    watched.keyboard.press("Enter")
    assert watched.evaluate("document.activeElement.id") == "main"
    slider = watched.get_by_role("slider", name="MACs at most")
    slider.focus()
    outline = watched.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    before = watched.locator("#rows tbody tr").count()
    for _ in range(3):
        watched.keyboard.press("PageDown")
    wait_for(lambda: watched.locator("#rows tbody tr").count() < before)
    assert watched.evaluate("document.activeElement.type") == "range"
    assert re.fullmatch(r"[\d.]+[kMG]", str(slider.get_attribute("aria-valuetext")))
    text = str(slider.get_attribute("aria-valuetext"))
    wait_for(lambda: f"bound_macs={text}" in watched.evaluate(HREF))  # its last answer is there
    # the plot's points are the table's rows: boxes are chosen, and Enter sends the form
    for box in watched.locator("#rows input[type=checkbox]").all()[:2]:
        box.focus()
        watched.keyboard.press("Space")
    watched.get_by_label("X scale").select_option(
        "linear"
    )  # asks again, and nothing chosen is lost
    wait_for(lambda: "scale=linear" in watched.evaluate(HREF))
    watched.get_by_role("button", name="Compare the chosen").press("Enter")
    watched.wait_for_url("**/compare?*")
    assert watched.locator("table.compare thead th").count() == 3


def test_the_plot_shows_the_front_the_rest_and_the_published_families(
    watched: Any, site: str
) -> None:
    watched.goto(f"{site}/front?color=family")
    wait_for(lambda: "dominated" in watched.evaluate(f"({PLOT}.data || []).map((t) => t.name)"))
    names = watched.evaluate(f"{PLOT}.data.map((t) => t.name)")
    assert "published families" in names
    assert any(name.startswith("family") for name in names)
    assert "no family" in names
    kind = watched.evaluate(f"{PLOT}.layout.xaxis.type")
    watched.get_by_label("X scale").select_option("linear")
    wait_for(lambda: watched.evaluate(f"{PLOT}.layout.xaxis.type") == "linear")
    assert kind == "log"
    watched.get_by_label("Colour by").select_option(f"latency_ms@{PHONE}")
    watched.wait_for_url("**color=latency_ms*")  # what it was measured with is to be chosen there
    watched.get_by_label("Precision").select_option("fp32")
    watched.get_by_role("button", name="Show").click()
    wait_for(lambda: watched.evaluate(f"{PLOT}.layout?.coloraxis?.colorbar?.title?.text"))
    shades = watched.evaluate(f"{PLOT}.data.at(-1).marker.color")
    assert list(shades) == [LATENCIES["mobilenet_v2"], LATENCIES["efficientnet_b0"]]


def test_a_job_goes_the_whole_way(page: Any, tmp_path: Path) -> None:
    """Written, watched, picked on the front, compared, exported, downloaded, its hash checked."""
    settings = Settings(store=f"sqlite:///{tmp_path}/nas.db", artifacts=str(tmp_path / "files"))
    with served(settings) as url:
        page.goto(url)
        page.get_by_role("link", name="Start one").click()
        text = page.get_by_label("Job file (YAML)")
        text.fill(JOB.replace("epochs: 1", "epochs: none"))
        page.get_by_role("button", name="Go to line 6").click()
        assert page.evaluate("getSelection().toString()").startswith("recipe:")
        text.fill(JOB)
        page.get_by_text("walked is good: 4 trials").wait_for()
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/jobs/*")
        # it is watched: nobody asks for the page again
        page.locator("#status .state.completed").wait_for(timeout=300_000)
        page.locator("#volume svg.chart, [data-load] svg.chart").first.wait_for()
        page.get_by_role("link", name="Ask for another front").click()
        page.locator("#plot .scatterlayer path.point").last.wait_for()
        page.locator("#plot .scatterlayer .trace").last.locator("path.point").last.click(force=True)
        page.get_by_role("button", name="Choose to compare").click()
        page.get_by_role("button", name="Compare the chosen").click()
        page.get_by_label("Add a model").fill("efficientnet_b0")
        page.get_by_role("button", name="Add").click()
        assert page.locator("table.compare thead th").count() == 3
        page.locator("table.compare thead a").first.click()
        page.wait_for_url("**/models/*")
        export(page, tmp_path)
    with Store.open(settings.store) as store:
        assert store.find_job("walked").owner == "loopback"


def export(page: Any, folder: Path) -> None:
    page.get_by_label("Format").select_option("safetensors")
    page.get_by_label("Train it first").check()
    page.get_by_role("button", name="Export").click()
    link = page.get_by_role("link", name="Download")
    ended = page.locator("#exports a[download], #exports .state.failed").first
    ended.wait_for(timeout=300_000)
    assert page.locator("#exports .state.failed").count() == 0
    with page.expect_download() as waiting:
        link.click()
    file = folder / waiting.value.suggested_filename
    waiting.value.save_as(file)
    shown = page.locator("#exports code.hash").first.text_content()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == shown
    from safetensors.numpy import load_file

    assert file.suffix == ".safetensors"
    assert load_file(file)
