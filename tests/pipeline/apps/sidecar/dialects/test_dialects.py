"""Each dialect, as its documentation has it: fields in, fields out, and problems in its words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from twopass.pipeline.apps.sidecar.service import Sidecar
from twopass.reranker.contract.errors import OverloadedError, RerankerError
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores

from ..running import Running, running, settings

QUERY = "the cat"
DOCUMENTS = ["a dog chased the cat", "owls hunt mice at night", "the cat sat on the mat", "warm"]

# path, the name of the documents' field, where the list of results is, the score's name
DIALECTS = {
    "cohere v1": ("/cohere/v1/rerank", "documents", "results", "relevance_score"),
    "cohere v2": ("/cohere/v2/rerank", "documents", "results", "relevance_score"),
    "jina": ("/jina/v1/rerank", "documents", "results", "relevance_score"),
    "tei": ("/tei/rerank", "texts", None, "score"),
    "vllm": ("/vllm/rerank", "documents", "results", "relevance_score"),
    "infinity": ("/infinity/rerank", "documents", "results", "relevance_score"),
    "elasticsearch": ("/_inference/rerank/any", "input", "rerank", "relevance_score"),
    "bare": ("/rerank", "documents", "results", "relevance_score"),
    "bare texts": ("/rerank", "texts", None, "score"),
    "bare v1": ("/v1/rerank", "documents", "results", "relevance_score"),
    "bare v2": ("/v2/rerank", "documents", "results", "relevance_score"),
}


def ask(server: Running, path: str, **body: Any) -> Any:
    answer = server.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def expected(server: Running, documents: list[str]) -> np.ndarray:
    """What the model says, by the scorer alone: relevance is its sigmoid or itself."""
    scores = server.sidecar.models.default.scorer.predict([(QUERY, each) for each in documents])
    return server.sidecar.models.default.scale.relevance(scores)


@pytest.mark.parametrize("name", DIALECTS)
class TestEveryDialect:
    def results(self, server: Running, name: str, documents: list[str], **options: Any) -> Any:
        path, field, inside, _ = DIALECTS[name]
        answer = ask(server, path, query=QUERY, **{field: documents}, **options)
        return answer[inside] if inside else answer

    def test_scores_are_the_models_best_first(self, server: Running, name: str) -> None:
        score = DIALECTS[name][3]
        results = self.results(server, name, DOCUMENTS)
        wanted = expected(server, DOCUMENTS)
        assert [each["index"] for each in results] == np.argsort(-wanted, kind="stable").tolist()
        found = [each[score] for each in results]
        np.testing.assert_allclose(found, np.sort(wanted)[::-1], rtol=1e-5)
        assert all(0 <= each <= 1 for each in found)

    def test_top_n_gives_the_best(self, server: Running, name: str) -> None:
        every = self.results(server, name, DOCUMENTS)
        best = self.results(server, name, DOCUMENTS, top_n=2)
        assert [each["index"] for each in best] == [each["index"] for each in every][:2]
        assert len(self.results(server, name, DOCUMENTS, top_n=99)) == 4

    def test_null_is_as_good_as_absent(self, server: Running, name: str) -> None:
        options = dict.fromkeys(("top_n", "model", "return_documents", "max_tokens_per_doc"))
        assert len(self.results(server, name, DOCUMENTS, **options)) == 4

    def test_nothing_to_rank_is_a_users_error(self, server: Running, name: str) -> None:
        path, field, _, _ = DIALECTS[name]
        answer = server.client.post(path, json={"query": QUERY, field: []})
        assert answer.status_code in (400, 413, 422)
        assert "at least one document" in answer.text

    @pytest.mark.parametrize("body", [[], "text", 3, None, {"query": 1}, {"query": "x"}, {}])
    def test_a_wrong_body_is_a_users_error(self, server: Running, name: str, body: Any) -> None:
        answer = server.client.post(DIALECTS[name][0], json=body)
        assert answer.status_code in (400, 422)

    def test_what_is_no_json_is_a_users_error(self, server: Running, name: str) -> None:
        answer = server.client.post(DIALECTS[name][0], content=b'{"query": ')
        assert answer.status_code in (400, 422)
        assert "JSON" in answer.text

    def test_an_unpaired_surrogate_is_a_users_error(self, server: Running, name: str) -> None:
        path, field, _, _ = DIALECTS[name]
        content = b'{"query": "\\ud800", "%s": ["a"]}' % field.encode()
        answer = server.client.post(path, content=content)
        assert answer.status_code in (400, 422)
        assert "Unicode" in answer.text

    def test_a_document_that_is_cut_is_told_of(self, server: Running, name: str) -> None:
        path, field, _, _ = DIALECTS[name]
        body = {"query": QUERY, field: [*DOCUMENTS, "the cat sat " * 50]}
        answer = server.client.post(path, json=body)
        assert answer.status_code == 200
        assert answer.headers["x-twopass-truncated"] == "1"
        assert answer.headers["x-twopass-status"] == "complete"


class TestCohere:
    def test_meta(self, server: Running) -> None:
        answer = ask(server, "/v2/rerank", query=QUERY, documents=["the cat"] * 101)
        assert answer["meta"]["api_version"] == {"version": "2"}
        assert answer["meta"]["billed_units"] == {"search_units": 2}
        assert answer["meta"]["tokens"]["input_tokens"] > 101 * 4
        assert "warnings" not in answer["meta"]

    def test_warnings_name_what_was_cut(self, server: Running) -> None:
        answer = ask(server, "/v2/rerank", query=QUERY, documents=["warm", "the cat sat " * 50])
        assert "1 of 2 documents were cut" in answer["meta"]["warnings"][0]

    def test_documents_come_back_only_where_asked(self, server: Running) -> None:
        body = {"query": QUERY, "documents": DOCUMENTS}
        for answer in (ask(server, "/v2/rerank", **body), ask(server, "/cohere/v1/rerank", **body)):
            assert all(set(each) == {"index", "relevance_score"} for each in answer["results"])
        answer = ask(server, "/cohere/v1/rerank", **body, return_documents=True)
        for each in answer["results"]:
            assert each["document"] == {"text": DOCUMENTS[each["index"]]}

    def test_objects_are_read_by_text_or_by_rank_fields(self, server: Running) -> None:
        plain = ask(server, "/v1/rerank", query=QUERY, documents=["the cat", "an owl\nmice"])
        objects = [{"text": "the cat"}, {"text": "no", "a": "mice", "b": "an owl"}]
        by_text = ask(server, "/v1/rerank", query=QUERY, documents=objects[:1])
        assert by_text["results"][0]["relevance_score"] == pytest.approx(
            next(e["relevance_score"] for e in plain["results"] if e["index"] == 0), rel=1e-5
        )
        by_fields = ask(
            server, "/v1/rerank", query=QUERY, documents=objects[1:], rank_fields=["b", "a"]
        )
        assert by_fields["results"][0]["relevance_score"] == pytest.approx(
            next(e["relevance_score"] for e in plain["results"] if e["index"] == 1), rel=1e-5
        )

    def test_an_object_without_its_field_is_refused_by_name(self, server: Running) -> None:
        body = {"query": QUERY, "documents": [{"title": "cat"}]}
        answer = server.client.post("/v2/rerank", json=body)
        assert answer.status_code == 400
        assert "'title'" in answer.json()["message"]

    def test_fewer_tokens_a_document_are_as_a_shorter_document(self, server: Running) -> None:
        whole, short = "the cat sat on the mat", "the cat"
        cut = ask(server, "/v2/rerank", query=QUERY, documents=[whole], max_tokens_per_doc=2)
        same = ask(server, "/v2/rerank", query=QUERY, documents=[short])
        score = same["results"][0]["relevance_score"]
        assert cut["results"][0]["relevance_score"] == pytest.approx(score, rel=1e-5)
        assert cut["meta"]["warnings"]


class TestTei:
    def test_raw_scores_are_logits(self, server: Running) -> None:
        relevance = ask(server, "/rerank", query=QUERY, texts=DOCUMENTS)
        raw = ask(server, "/rerank", query=QUERY, texts=DOCUMENTS, raw_scores=True)
        assert [each["index"] for each in raw] == [each["index"] for each in relevance]
        for logit, chance in zip(raw, relevance, strict=True):
            assert 1 / (1 + np.exp(-logit["score"])) == pytest.approx(chance["score"], rel=1e-4)

    def test_texts_come_back_where_asked(self, server: Running) -> None:
        for each in ask(server, "/rerank", query=QUERY, texts=DOCUMENTS, return_text=True):
            assert each["text"] == DOCUMENTS[each["index"]]

    def test_what_may_not_be_cut_is_refused(self, server: Running) -> None:
        body = {"query": QUERY, "texts": ["the cat sat " * 50], "truncate": False}
        answer = server.client.post("/rerank", json=body)
        assert answer.status_code == 413
        assert answer.json()["error_type"] == "Validation"
        assert server.client.post("/rerank", json=body | {"truncate": True}).status_code == 200

    def test_elasticsearchs_older_field_names(self, server: Running) -> None:
        body = {"query": QUERY, "documents": DOCUMENTS, "return_documents": True, "top_n": 1}
        [best] = ask(server, "/tei/rerank", **body)
        assert best["text"] == DOCUMENTS[best["index"]]

    def test_info_and_health(self, server: Running) -> None:
        info = server.client.get("/info").json()
        assert info["max_input_length"] == 32
        assert info["max_client_batch_size"] == 1000
        assert "reranker" in info["model_type"]
        assert server.client.get("/health").status_code == 200


class TestVllm:
    def test_documents_always_come_back(self, server: Running) -> None:
        for each in ask(server, "/vllm/v1/rerank", query=QUERY, documents=DOCUMENTS)["results"]:
            assert each["document"] == {"text": DOCUMENTS[each["index"]]}

    def test_its_own_fields_tell_it_apart(self, server: Running) -> None:
        body = {"query": QUERY, "documents": DOCUMENTS, "use_activation": False}
        raw = ask(server, "/rerank", query=QUERY, texts=DOCUMENTS, raw_scores=True)
        for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
            answer = ask(server, path, **body)
            assert answer["id"].startswith("rerank-")
            assert answer["usage"]["total_tokens"] > 0
            found = [each["relevance_score"] for each in answer["results"]]
            assert found == pytest.approx([each["score"] for each in raw], rel=1e-4)

    @pytest.mark.parametrize(
        ("first", "second"), [("text_1", "text_2"), ("queries", "documents"), ("data_1", "data_2")]
    )
    def test_score_one_query(self, server: Running, first: str, second: str) -> None:
        answer = ask(server, "/score", **{first: QUERY, second: DOCUMENTS})
        assert [each["index"] for each in answer["data"]] == [0, 1, 2, 3]
        found = [each["score"] for each in answer["data"]]
        np.testing.assert_allclose(found, expected(server, DOCUMENTS), rtol=1e-5)

    def test_score_pair_by_pair(self, server: Running) -> None:
        answer = ask(server, "/score", text_1=[QUERY] * 2, text_2=DOCUMENTS[:2])
        found = [each["score"] for each in answer["data"]]
        np.testing.assert_allclose(found, expected(server, DOCUMENTS[:2]), rtol=1e-5)
        one = ask(server, "/score", text_1=QUERY, text_2=DOCUMENTS[0])["data"]
        assert one[0]["score"] == pytest.approx(found[0], rel=1e-5)

    def test_score_of_unequal_lists_is_refused(self, server: Running) -> None:
        answer = server.client.post("/score", json={"text_1": ["a", "b"], "text_2": ["c"] * 3})
        assert answer.status_code == 400
        assert "2 and 3" in answer.json()["error"]["message"]


class TestOthers:
    def test_jina(self, server: Running) -> None:
        answer = ask(server, "/jina/v1/rerank", query=QUERY, documents=DOCUMENTS, model="mine")
        assert answer["model"] == "mine"
        assert answer["usage"]["total_tokens"] > 0
        assert answer["results"][0]["document"]["text"] in DOCUMENTS

    def test_infinity(self, server: Running) -> None:
        body = {"query": QUERY, "documents": DOCUMENTS}
        answer = ask(server, "/infinity/rerank", **body, return_documents=True)
        assert answer["object"] == "rerank"
        assert isinstance(answer["created"], int)
        assert all(each["document"] == DOCUMENTS[each["index"]] for each in answer["results"])

    def test_elasticsearch_takes_a_single_input(self, server: Running) -> None:
        body = {"query": QUERY, "input": "the cat", "return_documents": True}
        [only] = ask(server, "/_inference/rerank/any", **body)["rerank"]
        assert only["text"] == "the cat"


class Broken(Scorer):
    """A scorer that fails in the way it is told to."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def score(self, pairs: Any, *, deadline: float | None = None) -> Scores:  # noqa: ARG002
        if "fine" in pairs[0][1] or "slower" in pairs[0][1]:
            return Scores(np.zeros(len(pairs), dtype=np.float32))
        if self.error:
            raise self.error
        return Scores.none(len(pairs), "out of time")


# what goes wrong: status of Cohere, TEI and Elasticsearch
FAULTS = [
    (RerankerError("the model is gone"), 500, 424, 500),
    (OverloadedError("too much", retry_after=2.5), 429, 429, 429),
    (None, 504, 424, 504),
    (ZeroDivisionError("oops"), 500, 424, 500),
]


@pytest.mark.parametrize(("error", "cohere", "tei", "elasticsearch"), FAULTS)
def test_a_scorers_fault_in_each_dialects_words(
    error: Exception | None, cohere: int, tei: int, elasticsearch: int
) -> None:
    with running(Sidecar(settings(), Broken(error))) as server:
        answer = server.client.post("/v2/rerank", json={"query": "x", "documents": ["y"]})
        assert answer.status_code == cohere
        assert set(answer.json()) == {"id", "message"}
        answer = server.client.post("/rerank", json={"query": "x", "texts": ["y"]})
        assert answer.status_code == tei
        assert set(answer.json()) == {"error", "error_type"}
        answer = server.client.post("/_inference/rerank/a", json={"query": "x", "input": ["y"]})
        assert answer.status_code == elasticsearch
        assert answer.json()["status"] == elasticsearch
        if isinstance(error, OverloadedError):
            assert answer.headers["retry-after"] == "3"
        if isinstance(error, ZeroDivisionError):
            assert "oops" not in answer.text
        fine = server.client.post("/v2/rerank", json={"query": "x", "documents": ["fine"]})
        assert fine.status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"texts": ["x"] * 6}, 413),
        ({"texts": ["x" * 101]}, 413),
        ({"texts": ["x" * 100] * 5}, 200),
        ({"texts": ["x"], "more": "y" * 2000}, 413),
    ],
)
def test_limits(body: dict[str, Any], status: int) -> None:
    limits = settings(max_documents=5, max_characters=100, max_body_bytes=1500)
    with running(Sidecar(limits, Broken(RerankerError("not reached")))) as server:
        body = {"query": "x", **body, "texts": ["fine", *body["texts"][1:]]}
        if status == 413 and len(body["texts"]) == 1 and "more" not in body:
            body["texts"] = ["fine" * 30]
        assert server.client.post("/rerank", json=body).status_code == status
