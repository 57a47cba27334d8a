"""Pages as they are sent: every link leads somewhere, nothing is inline, who may see what."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from nas.client import Client
from nas.pareto import non_dominated
from nas.server.auth import digest_of, make_token
from nas.server.settings import Settings
from nas.store import Store
from search_spaces.published import get_published
from tests.nas.server.pages.conftest import served
from tests.nas.server.pages.library import EVIL, LATENCIES, NETWORKS, PHONE

MOST_PAGES = 120


class Tags(HTMLParser):
    """Every element of a page with its attributes, and the text outside of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, tag: str, name: str) -> list[str]:
        return [v for t, a in self.found if t == tag and (v := a.get(name)) is not None]


@pytest.fixture(scope="module")
def client(site: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site, follow_redirects=False, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def crawled(client: httpx2.Client) -> dict[str, str]:
    """Every page that links lead to, from the first one on, by path."""
    waiting, pages = ["/", "/new", "/compare"], dict[str, str]()
    while waiting:
        path = waiting.pop(0)
        answer = client.get(path)
        assert answer.status_code in (200, 303), (path, answer.text)
        pages[path] = answer.text if answer.status_code == 200 else ""
        links = [answer.headers["location"]] if answer.status_code == 303 else []
        links += Tags(answer.text).values("a", "href")
        for link in links:
            there = urljoin(path, link)
            assert there.startswith("/"), f"{path} links to {link}"
            if there not in (*pages, *waiting) and not there.startswith("/v1/"):
                waiting.append(there)
        assert len(pages) < MOST_PAGES
    return pages


def test_every_link_leads_to_a_page(crawled: dict[str, str]) -> None:
    kinds = {re.sub(r"[0-9a-f]{8,}|\d+", "*", urlsplit(path).path) for path in crawled}
    wanted = {"/", "/front", "/families", "/families/*", "/jobs/*", "/jobs/*/trials", "/models/*"}
    assert kinds >= wanted | {
        "/jobs/*/trials/*",
        "/jobs/*/progress",
        "/jobs/*/log",
        "/new",
        "/compare",
    }


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(
    crawled: dict[str, str], client: httpx2.Client
) -> None:
    for path, text in crawled.items():
        tags = Tags(text)
        for tag, attributes in tags.found:
            assert "style" not in attributes, (path, tag)
            assert not any(name.startswith("on") for name in attributes), (path, tag, attributes)
            assert tag != "style", path
            if tag == "script":
                assert "src" in attributes or attributes.get("type") == "application/json", path
        addresses = [*tags.values("script", "src"), *tags.values("link", "href")]
        addresses += tags.values("img", "src")
        assert all(address.startswith("/static/") for address in addresses), (path, addresses)
    policy = client.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_a_first_view_is_small(crawled: dict[str, str], client: httpx2.Client) -> None:
    """All that a browser fetches for a page, as it is sent, without the plot library."""
    for path, text in crawled.items():
        tags = Tags(text)
        files = {*tags.values("script", "src"), *tags.values("link", "href")}
        own = [name for name in files if "plotly.min.js" not in name]
        sent = len(gzip.compress(text.encode(), 5))
        for name in own:
            answer = client.get(name, headers={"accept-encoding": "gzip"})
            sent += int(answer.headers["content-length"])
        assert sent <= 300_000, (path, sent)


def test_a_name_is_never_taken_for_markup(crawled: dict[str, str]) -> None:
    assert any(EVIL.replace("<", "&lt;").split(">")[0] in text for text in crawled.values())
    for path, text in crawled.items():
        assert "onerror" not in {k for _, attributes in Tags(text).found for k in attributes}, path


def test_the_front_of_the_page_is_the_brute_force_front(client: httpx2.Client) -> None:
    text = client.get("/front").text
    shown = plot_data(text)
    from nas.cost import count

    points = [(count(get_published(name)).macs, a) for name, a in NETWORKS.items()]
    kept = non_dominated(points, (False, True))
    expected = sorted(point for point, keep in zip(points, kept) if keep)
    assert list(zip(shown["front"]["x"], shown["front"]["y"])) == expected
    assert {curve["name"] for curve in shown["references"]} >= {"efficientnet", "mobilenet_v2"}
    others = client.get("/front/others").json()
    assert len(others["x"]) == len(points)


def test_ties_are_listed_and_marked_when_asked_for(client: httpx2.Client) -> None:
    """mobilenet_v2 (72.0 %) dominates mnasnet_a1 (71.9 %), within sqrt(2) x 0.2 points."""
    assert "tied" not in re.sub("<[^>]*>", "", client.get("/front").text).replace("List ties", "")
    text = client.get("/front", params={"ties": "yes"}).text
    tied = re.findall(r'href="/models/([0-9a-f]+)">[^<]*</a> <span class="faint">tied', text)
    assert tied == [get_published("mnasnet_a1").fingerprint]
    assert "<strong>4</strong> models on the front; 1 more" in text


def test_a_constraint_narrows_the_front(client: httpx2.Client) -> None:
    text = client.get("/front", params={"bound_macs": "400M", "bound_val_accuracy": "70"}).text
    names = re.findall(r'<th scope="row"><a href="/models/([0-9a-f]+)"', text)
    expected = {get_published(name).fingerprint for name in ("mobilenet_v2", "efficientnet_b0")}
    assert set(names) == expected


def plot_data(text: str) -> dict[str, Any]:
    data = re.search(r'<script type="application/json" id="plot-data">(.*?)</script>', text, re.S)
    assert data is not None
    found: dict[str, Any] = json.loads(data[1])
    return found


def test_latency_as_measured_is_an_axis_a_constraint_and_a_colour(client: httpx2.Client) -> None:
    latency = f"latency_ms@{PHONE}"
    points = [(ms, NETWORKS[name]) for name, ms in LATENCIES.items()]
    kept = non_dominated(points, (False, True))
    expected = sorted(point for point, keep in zip(points, kept) if keep)
    asked = {"x": latency, "precision": "fp32"}
    answer = client.get("/front", params=asked).text
    shown = plot_data(answer)
    assert list(zip(shown["front"]["x"], shown["front"]["y"])) == expected
    assert shown["titles"][0] == "Latency on Pixel 8 (ms)"
    assert f'<option value="{latency}" selected>Latency (Pixel 8)</option>' in answer
    halved = plot_data(client.get("/front", params={"x": latency}).text)
    assert halved["front"]["x"] == [ms / 2 for ms, _ in expected], "the first way is not fp16"
    bounded = client.get("/front", params={**asked, f"bound_{latency}": "15"}).text
    assert plot_data(bounded)["front"]["x"] == [ms for ms, _ in expected if ms <= 15]
    others = client.get("/front/others", params=asked).json()
    assert sorted(others["x"]) == sorted(LATENCIES.values())
    color = plot_data(client.get("/front", params={"color": latency, "precision": "fp32"}).text)
    assert color["front"]["shade"] == [None, LATENCIES["mobilenet_v2"], 21.0, None]
    with Client(str(client.base_url)) as python:
        names = [one.name for one in python.measured()]
        assert names == [f"energy_j@{PHONE}", latency]
        rows = python.pareto(x=latency, y="accuracy", precision="fp32")
        assert [row.metrics[latency] for row in rows] == shown["front"]["x"]


def test_energy_of_trainings_is_an_axis_too(client: httpx2.Client) -> None:
    shown = plot_data(client.get("/front", params={"y": f"energy_j@{PHONE}"}).text)
    assert shown["titles"][1] == "Energy on Pixel 8 (J)"
    assert shown["maximize"] == [False, False]
    assert shown["front"]["y"] == [900.0]  # the cheapest network took least


def test_a_card_has_every_measurement_and_a_comparison_those_of_networks(
    client: httpx2.Client,
) -> None:
    def rows(path: str) -> list[str]:
        text = client.get(path).text
        found = re.findall(r"<tr>(.*?)</tr>", text, re.S)
        return [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in found]

    b0 = rows(f"/models/{get_published('efficientnet_b0').fingerprint}")
    assert "Latency 21.00 ms – any weights Pixel 8 onnxruntime fp32 1 1" in b0
    assert "Energy 1,300.00 J – 5 epochs Pixel 8 – – – –" in b0
    assert "Energy no meter – any weights – – – – –" in b0
    both = rows("/compare?m=efficientnet_b0&m=mobilenet_v2")
    assert "Latency Pixel 8, onnxruntime, fp16, batch 1, 1 thread 10.50 ms 6.00 ms" in both
    assert "Latency 12.50 ms ± 0.50 ms –" in both


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/jobs/nosuchjob", 404, "nosuchjob"),
        ("/jobs/imagenet-look/trials/99", 404, "no trial 99"),
        ("/models/ffffffff", 404, "no network"),
        ("/models/x.json", 404, "named by a published name"),
        ("/families/zz", 404, "no family"),
        ("/front?x=speed", 422, "speed"),
        ("/front?color=speed", 422, "speed"),
        ("/front?x=latency_ms@toaster", 422, "toaster"),
        ("/front?x=macs&y=macs", 422, "must differ"),
        ("/front?kind=zz", 404, "zz"),
        ("/front?bound_macs=much", 422, "much"),
        ("/compare?m=a&m=b&m=c&m=d&m=e", 422, "At most 4"),
        ("/jobs/imagenet-look/trials?after=x", 422, "after"),
    ],
)
def test_what_is_wrong_is_said_on_a_page(
    client: httpx2.Client, path: str, status: int, words: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert words in answer.text


def test_trials_are_narrowed_by_their_state(client: httpx2.Client) -> None:
    text = client.get("/jobs/toy/trials?state=infeasible").text
    assert re.findall(r'<th scope="row"><a href="[^"]*/trials/(\d+)"', text) == ["3"]
    assert "no such row" in text
    assert "There are none." in client.get("/jobs/toy/trials?state=running").text


ODD = ["9" * 30, "-1", "1e999", "nan", "..", "a" * 3_000, "😀", "%FF", "%00", "'\"<", "1e30"]
PLACES = [
    *("/jobs/{}", "/jobs/{}/log", "/jobs/toy/trials/{}", "/jobs/toy/trials?after={}", "/?after={}"),
    *("/models/{}", "/models/toy/{}", "/compare?m={}", "/families/{}", "/front?kind={}"),
    *("/front?job={}", "/front?y={}", "/front?bound_macs={}", "/front?job=toy&bound_macs={}"),
    *("/front/others?x={}", "/static/{}", "/login?next={}", "/new?like={}"),
]


@pytest.mark.parametrize("place", PLACES)
def test_no_odd_text_breaks_a_page(client: httpx2.Client, place: str) -> None:
    for text in ODD:
        answer = client.get(place.format(text))
        assert answer.status_code < 500, (text, answer.text)


def test_a_static_file_is_kept_until_it_changes(client: httpx2.Client) -> None:
    address = Tags(client.get("/").text).values("link", "href")[-1]
    answer = client.get(address)
    assert "immutable" in answer.headers["cache-control"]
    again = client.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/..%2Fapp.py").status_code == 404


def test_a_job_file_is_checked_by_line(client: httpx2.Client) -> None:
    def check(text: str) -> dict[str, Any]:
        found: dict[str, Any] = client.post("/new/check", data={"job": text}).json()
        return found

    wrong = check("name: a\ndata: digits\nsearch: {trials: many}\n")
    assert (wrong["ok"], wrong["line"], wrong["field"]) == (False, 3, "search.trials")
    assert "passwd" in check("name: a\ndata: /etc/passwd\n")["message"]
    good = check("name: a\ndata: digits\nspace: small_images\nresolution: 8\n")
    assert good["ok"]
    assert good["networks"] > 1_000


def test_a_job_that_is_wrong_stays_in_the_form(client: httpx2.Client) -> None:
    answer = client.post("/new", data={"job": "name: a\nspace: <nonesuch>\n", "key": "k"})
    assert answer.status_code == 422
    assert "&lt;nonesuch&gt;" in answer.text


def test_nothing_is_changed_for_a_page_of_another_site(client: httpx2.Client) -> None:
    headers = {"origin": "http://evil.example"}
    for path in ("/new", "/jobs/imagenet-look/stop", "/logout", "/login"):
        assert client.post(path, data={"job": "name: a"}, headers=headers).status_code == 403


def test_who_has_no_token_is_asked_for_one(tmp_path: Path) -> None:
    token = make_token()
    url = f"sqlite:///{tmp_path}/nas.db"
    settings = Settings(store=url, artifacts=str(tmp_path / "a"), authentication=True)
    with Store.open(url) as store:
        store.create_token(digest_of(token), name="ann", scopes=("read",), expires_at=None)
    with served(settings) as site, httpx2.Client(base_url=site) as client:
        answer = client.get("/front?x=macs")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?next=%2Ffront%3Fx%3Dmacs"
        assert client.get("/static/page.css").status_code == 200
        wrong = client.post("/login", data={"token": "nas_wrong", "next": "/front"})
        assert wrong.status_code == 401
        assert "not known" in wrong.text
        right = client.post("/login", data={"token": token, "next": "//evil.example"})
        assert (right.status_code, right.headers["location"]) == (303, "/")
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        first = client.get("/")
        assert first.status_code == 200
        assert token not in first.text
        assert "/new" not in Tags(first.text).values("a", "href")
        assert client.get("/new").status_code == 403
        assert client.post("/new", data={"job": "name: a"}).status_code == 403
        client.post("/logout")
        assert client.get("/").status_code == 303


def test_the_list_of_jobs_is_paged_with_each_job_once_the_latest_first(tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path}/nas.db", artifacts=str(tmp_path))
    with Store.open(settings.store) as store:
        made = [store.create_job(f"job{n}", {}, {}).id for n in range(53)]
    seen: list[str] = []
    with served(settings) as url, httpx2.Client(base_url=url, timeout=30) as client:
        path, sizes = "/", []
        while path:
            text = client.get(path).text
            found = re.findall(r'<th scope="row"><a href="/jobs/([0-9a-f]+)"', text)
            seen, sizes = seen + found, [*sizes, len(found)]
            following = [h for h in Tags(text).values("a", "href") if h.startswith("/?after=")]
            path = following[0] if following else ""
    assert sizes == [25, 25, 3]
    assert seen == made[::-1]
