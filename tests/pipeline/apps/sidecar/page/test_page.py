"""The page in a real browser: what it shows is what the server said, fused as the server fuses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_bert import save_tiny_bert

from twopass.pipeline.apps.assembly import (
    build_cheap_scorer,
    build_final_scorer,
    build_model,
    build_scorer,
)
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.keys import hash_key, new_key
from twopass.pipeline.apps.sidecar.service import Sidecar
from twopass.pipeline.evaluation import measure
from twopass.retriever.index.index import BM25Index

from ..running import Running, running, settings

QUERY = "cat hunts mice"
GRADES = {"d04": 1, "d17": 1}
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1280,900",
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    (folder / "qrels").mkdir()
    (folder / "queries.jsonl").write_text(f'{{"_id": "q", "text": "{QUERY}"}}\n')
    lines = ["query-id\tcorpus-id\tscore", *(f"q\t{id}\t{grade}" for id, grade in GRADES.items())]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    (folder / "corpus.jsonl").write_text("")
    return folder


@pytest.fixture(scope="module")
def shown(
    model: Path, animals: BM25Index, judged: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    other = tmp_path_factory.mktemp("other")
    save_tiny_bert(other, f"{QUERY} barn dog fox hen owl river roof".split(), seed=8)
    serve = {"name": "default", "judged": str(judged), "models": {"other": str(other)}}
    values = {"reranker": {"model": str(model)}, "serve": serve, "depth": 30}
    settings = Settings.model_validate(values)
    others = {"other": build_model(settings, str(other))}
    with running(Sidecar(settings, build_scorer(settings), animals, others)) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        message = "install chromium and its driver (Debian: chromium chromium-driver)"
        if os.environ.get("CI"):
            pytest.fail(f"CI must test the page in a browser: {message}")
        pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(programs[1])))
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(browser: Any, shown: Running) -> Any:
    """The page after a search."""
    browser.set_window_size(1280, 900)
    browser.get(f"{shown.url}/")
    _search(browser, QUERY)
    return browser


def _search(browser: Any, query: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(browser, 60, poll_frequency=0.05)
    wait.until(lambda _: _element(browser, "#depth").get_attribute("value"))
    field = _element(browser, "#query")
    field.clear()
    field.send_keys(query, "\n")
    done = ("scored", "found", "skipped", "Degraded", "failed")
    wait.until(lambda _: any(word in _element(browser, "#status").text for word in done))


def _element(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def _ids(browser: Any, list_: str) -> list[str]:
    script = f"return [...document.querySelectorAll('#{list_} > li')].map((li) => li.dataset.id)"
    found: list[str] = browser.execute_script(script)
    return found


def _choose(browser: Any, **values: object) -> None:
    for id, value in values.items():
        browser.execute_script(
            "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
            "field.dispatchEvent(new Event('input', {bubbles: true}));",
            id,
            str(value),
        )
    _wait_for_fusion(browser)


def _wait_for_fusion(browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    rankings = _element(browser, "#rankings")
    wait = WebDriverWait(browser, 60, poll_frequency=0.02)
    wait.until(lambda _: rankings.get_attribute("aria-busy") != "true")


def _requests(browser: Any, path: str = "") -> list[str]:
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    found: list[str] = browser.execute_script(script)
    return [name for name in found if name.endswith(path)]


def test_both_rankings_are_the_servers(page: Any, shown: Running) -> None:
    hits = shown.client.post("/search", json={"query": QUERY, "k": 30, "depth": 30}).json()["hits"]
    assert len(hits) > 20
    assert _ids(page, "final") == [hit["id"] for hit in hits][:20]
    before = sorted(hits, key=lambda hit: hit["retrieval_rank"])
    assert _ids(page, "first") == [hit["id"] for hit in before][:20]
    assert f"All {len(hits)} candidates were scored" in _element(page, "#status").text
    assert "retrieval" in _element(page, "#timings").text
    both = set(_ids(page, "first")) & set(_ids(page, "final"))
    assert len(page.find_elements("css selector", "#lines path")) == len(both)
    marks = page.execute_script(
        "return [...document.querySelectorAll('#final mark')].map((mark) => mark.textContent)"
    )
    assert {mark.lower() for mark in marks} >= {"cat", "hunts", "mice"}


@pytest.mark.parametrize(
    ("controls", "fusion"),
    [
        ({"method": "weighted", "weight": 0.25}, {"method": "weighted", "weights": [0.75, 0.25]}),
        ({"method": "weighted", "weight": 0}, {"method": "weighted", "weights": [1, 0]}),
        (
            {"method": "weighted", "weight": 0.5, "normalizer": "z-score"},
            {"method": "weighted", "weights": [0.5, 0.5], "normalizer": "z-score"},
        ),
        (
            {"method": "weighted", "weight": 0.6, "normalizer": "rank"},
            {"method": "weighted", "weights": [0.4, 0.6], "normalizer": "rank"},
        ),
        ({"method": "rrf"}, {"method": "rrf"}),
        ({"method": "reranker"}, {"method": "reranker"}),
    ],
)
def test_controls_fuse_as_the_server_does_without_another_search(
    page: Any, shown: Running, controls: dict[str, object], fusion: dict[str, object]
) -> None:
    searches = _requests(page, "/search")
    _choose(page, **controls)
    found = _ids(page, "final")
    assert _requests(page, "/search") == searches
    assert _requests(page, "/page/fuse")
    body = {"query": QUERY, "k": 30, "depth": 30, "fusion": fusion}
    hits = shown.client.post("/search", json=body).json()["hits"]
    assert found == [hit["id"] for hit in hits][:20]


def test_a_cascade_is_fused_as_the_server_fuses_it(
    browser: Any, model: Path, animals: BM25Index
) -> None:
    """What chooses has its share, only the chosen are fused, and the rest goes by its scores."""
    cascade = {"model": "twopass/tiny", "keep": 7}
    values = {"reranker": {"model": str(model), "cascade": cascade}, "depth": 30}
    settings = Settings.model_validate(values)
    cheap = build_cheap_scorer(settings)
    with running(Sidecar(settings, build_final_scorer(settings), animals, cheap=cheap)) as server:
        browser.get(f"{server.url}/")
        _search(browser, QUERY)
        page = browser
        assert "7 candidates were chosen" in _element(page, "#status").text
        hits = server.client.post("/search", json={"query": QUERY, "k": 30}).json()["hits"]
        assert _ids(page, "final") == [hit["id"] for hit in hits][:20]
        assert not _requests(page, "/page/fuse")
        weighted = {"method": "weighted", "weights": [0.2, 0.4, 0.4]}  # the rest as 0.1 and 0.2
        for controls, fusion in (
            ({"method": "rrf"}, "rrf"),
            ({"method": "reranker"}, "reranker"),
            ({"method": "weighted", "weight": 0.4}, weighted),
            ({"method": "own"}, None),
        ):
            _choose(page, **controls)
            body = {"query": QUERY, "k": 30, "fusion": fusion}
            hits = server.client.post("/search", json=body).json()["hits"]
            assert _ids(page, "final") == [hit["id"] for hit in hits][:20]


def test_a_fusion_without_controls_is_the_servers_own(
    browser: Any, model: Path, animals: BM25Index
) -> None:
    values = {"reranker": {"model": str(model)}, "fusion": {"method": "comb-mnz"}, "depth": 30}
    settings = Settings.model_validate(values)
    with running(Sidecar(settings, build_scorer(settings), animals)) as server:
        browser.get(f"{server.url}/")
        _search(browser, QUERY)
        assert _element(browser, "#method").get_attribute("value") == "own"
        hits = server.client.post("/search", json={"query": QUERY, "k": 30}).json()["hits"]
        own = [hit["id"] for hit in hits][:20]
        assert _ids(browser, "final") == own
        _choose(browser, method="first")
        assert _ids(browser, "final") == _ids(browser, "first")
        _choose(browser, method="own")
        assert _ids(browser, "final") == own


def test_a_moving_slider_asks_the_server_once(page: Any) -> None:
    page.execute_script(
        "const field = document.getElementById('weight');"
        "for (const value of [0.1, 0.2, 0.3, 0.4]) {"
        " field.value = value; field.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    _wait_for_fusion(page)
    assert len(_requests(page, "/page/fuse")) == 1
    assert _element(page, "#weight-shown").text == "0.40"


def test_fusing_needs_a_key_where_there_are_keys() -> None:
    key = new_key()
    with running(Sidecar(settings(api_keys=(hash_key(key),)), Zeros())) as server:
        body = {"columns": [[1.0], [1.0]]}
        assert server.client.post("/page/fuse", json=body).status_code == 401
        headers = {"authorization": f"Bearer {key}"}
        assert server.client.post("/page/fuse", json=body, headers=headers).status_code == 200


def test_fused_scores_and_their_order(shown: Running) -> None:
    columns = [[9.0, 6.0, 3.0, 1.0], [0.2, 0.8, None, None]]
    answer = shown.client.post("/page/fuse", json={"columns": columns, "fusion": "reranker"}).json()
    assert answer["fused"] == [pytest.approx(0.2), pytest.approx(0.8), None, None]
    assert answer["order"] == [1, 0, 2, 3]
    own = shown.client.post("/page/fuse", json={"columns": columns}).json()
    assert own["fused"][:2] == [pytest.approx(0.3), pytest.approx(0.7)]


@pytest.mark.parametrize(
    "body",
    [
        {"columns": []},
        {"columns": [[1.0], [1.0, 2.0]]},
        {"columns": [[1e39], [1.0]]},
        {"columns": [["1e400"], [1.0]]},
        {"columns": [[1.0]] * 9},
        {"columns": [[1.0] * 1001] * 2},
        {"columns": [[1.0], [1.0]], "fusion": "none such"},
        {"columns": [[1.0], [1.0]], "fusion": {"method": "rrf", "k": 0}},
        {"columns": [[1.0]], "fusion": "tm2c2"},
    ],
)
def test_columns_that_cannot_be_fused_are_refused(shown: Running, body: dict[str, Any]) -> None:
    answer = shown.client.post("/page/fuse", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["type"] == "invalid"


def test_judged_queries_show_what_was_gained(page: Any) -> None:
    option = _element(page, "#judged option").get_attribute("value")
    assert option == QUERY
    for list_, place in (("first", "before"), ("final", "after")):
        expected = measure({"q": _ids(page, list_)}, {"q": GRADES}, ["nDCG@10"])[0, 0]
        assert _element(page, f"#measure-{place}").text == f"nDCG@10 {expected:.3f}"


def test_the_model_is_a_control(page: Any, shown: Running) -> None:
    from selenium.webdriver.support.ui import Select, WebDriverWait

    wait = WebDriverWait(page, 60, poll_frequency=0.05)
    control = Select(_element(page, "#model"))
    assert [each.text for each in control.options] == [
        "default",
        "other",
        "none: first stage alone",
    ]
    found = {"default": _ids(page, "final")}
    told = {"other": "scored by other.", "none": "The first stage alone"}
    for name, words in told.items():
        control.select_by_value(name)
        wait.until(lambda _, words=words: words in _element(page, "#status").text)
        found[name] = _ids(page, "final")
        body = {"query": QUERY, "k": 30, "depth": 30, "model": name}
        hits = shown.client.post("/search", json=body).json()["hits"]
        assert found[name] == [hit["id"] for hit in hits][:20]
        expected = measure({"q": found[name]}, {"q": GRADES}, ["nDCG@10"])[0, 0]
        assert _element(page, "#measure-after").text == f"nDCG@10 {expected:.3f}"
    assert found["none"] == _ids(page, "first")
    assert len(set(map(tuple, found.values()))) == 3
    assert {each.text for each in page.find_elements("css selector", ".second span")} == {"–"}

    page.refresh()  # the address has kept what was chosen
    wait.until(lambda _: told["none"] in _element(page, "#status").text)
    assert Select(_element(page, "#model")).first_selected_option.text == "none: first stage alone"


def test_without_an_index_the_page_says_so(browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    with running(Sidecar(Settings(), Zeros())) as server:
        browser.get(f"{server.url}/")
        told = _element(browser, "#status")
        WebDriverWait(browser, 60, poll_frequency=0.05).until(lambda _: told.text)
        assert "start it with --index" in told.text


class Zeros:
    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        return np.zeros(len(pairs), dtype=np.float32)


def test_the_keyboard_reaches_everything(page: Any) -> None:
    page.execute_script("document.activeElement.blur()")
    _press(page, "jj")
    second = page.switch_to.active_element
    assert second.get_attribute("data-id") == _ids(page, "final")[1]
    _press(page, "\n")
    assert second.get_attribute("aria-expanded") == "true"
    lit = page.find_elements("css selector", "li.lit")
    assert {each.get_attribute("data-id") for each in lit} == {_ids(page, "final")[1]}
    _press(page, "k")
    assert page.switch_to.active_element.get_attribute("data-id") == _ids(page, "final")[0]
    _press(page, "/")
    assert page.switch_to.active_element.get_attribute("id") == "query"


def _press(browser: Any, keys: str) -> None:
    """Press keys where the focus is."""
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(keys).perform()


def test_nothing_comes_from_elsewhere_and_nothing_is_refused(page: Any, shown: Running) -> None:
    assert all(name.startswith(shown.url) for name in _requests(page))
    policy = shown.client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_it_fits_a_phone(page: Any) -> None:
    page.set_window_size(400, 800)
    width, inner = page.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner
    assert not _element(page, "#lines").is_displayed()
    assert _element(page, "#final").location["y"] < _element(page, "#first").location["y"]


def test_a_query_that_finds_nothing_and_one_that_fails(page: Any, shown: Running) -> None:
    _search(page, "zebra")
    assert _element(page, "#status").text == "Nothing was found."
    _choose(page, depth=0)
    _search(page, QUERY)
    assert "The search failed" in _element(page, "#status").text


def test_unknown_files_are_missing(shown: Running) -> None:
    for path in ("/page/other.js", "/page/..%2f__init__.py"):
        assert shown.client.get(path).status_code == 404
