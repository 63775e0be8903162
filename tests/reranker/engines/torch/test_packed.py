"""Rows behind one another: every way to compute attention, sizes for graphs, several devices."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twopass.reranker.contract.errors import RerankerError
from twopass.reranker.engines.engine import BatchRunner
from twopass.reranker.engines.replicas import Replicas
from twopass.reranker.engines.torch.attention import Padded, PaddedPositions, Rectangle, Varlen
from twopass.reranker.engines.torch.cpu_parts import split_batch
from twopass.reranker.engines.torch.cuda_graphs import Graphs, pad_to_recorded_size, padded_columns
from twopass.reranker.engines.torch.packed import PackedEngine
from twopass.reranker.files.model_folder import ModelFolder
from twopass.reranker.files.weights import load_classifier
from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.reranker.text.encoding import PairEncoder
from twopass.reranker.text.tokenizer import ModelTokenizer
from twopass.reranker.text.tokens import TokenRows

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def flash_on_cpu():
    """Give torch's flash attention over borders an implementation on the CPU, row by row."""

    def attention(query, key, value, starts, key_starts, longest, key_longest, *rest, **_):
        assert rest == (0.0, False, False)
        assert starts.dtype == torch.int32
        assert starts.diff().max() <= longest == key_longest
        drawn = torch.full_like(query, torch.nan)
        for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            parts = (part[a:b].transpose(0, 1) for part in (query, key, value))
            row = torch.nn.functional.scaled_dot_product_attention(*parts)
            drawn[a:b] = row.transpose(0, 1)
        empty = query.new_empty(0)
        return drawn, empty, empty, empty, empty

    library = torch.library.Library("aten", "IMPL")
    library.impl("_flash_attention_forward", attention, "CPU")
    yield
    library._destroy()


def rows_of(lengths: list[int]) -> TokenRows:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.arange(5, 5 + offsets[-1], dtype=np.int32) % 200
    return TokenRows(ids, np.zeros(len(ids), dtype=np.int8), offsets)


def packed(folder, **settings) -> PackedEngine:
    model = load_classifier(ModelFolder.read(folder))
    return PackedEngine(model, typed=True, device=settings.pop("device", CPU), **settings)


def read(folder, texts: list[str]) -> TokenRows:
    encoder = PairEncoder(ModelTokenizer.load(folder).backend, 64, max_query_length=20)
    return encoder.encode([(query, text) for query in texts[:3] for text in texts]).rows


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert"])
@pytest.mark.parametrize("attention", [Padded, Varlen])
def test_every_attention_gives_the_logits_of_rectangles(tiny, texts, kind, attention, flash_on_cpu):
    batch = read(tiny(kind, 3), texts)
    expected = packed(tiny(kind, 3)).logits(batch)
    found = packed(tiny(kind, 3), attention=attention).logits(batch)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12), workers=st.integers(1, 3))
def test_attention_over_rectangles_is_that_over_rows(lengths, workers):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    numbers = np.arange(offsets[-1], dtype=np.int32)  # each token is its number
    batch = TokenRows(numbers, np.zeros(len(numbers), dtype=np.int8), offsets)
    product, hidden = torch.randn(len(numbers), 3, 2, 4), torch.randn(len(numbers), 8)
    asked = torch.randn(len(batch), 2, 8)
    rows = Padded(PaddedPositions.of(batch, CPU, 41))
    every, first = rows.of_all(product), rows.of_first(asked, hidden, 0.5)
    for part in split_batch(batch.lengths, (3 << 17) // 128, workers):
        tokens = part.spread(batch.take(part.rows).ids)
        own = np.flatnonzero(part.spread(batch.take(part.rows).ids + 1))
        rectangle = Rectangle(part)
        drawn = rectangle.of_all(product[tokens])
        assert drawn.shape == (part.tokens, 8)
        torch.testing.assert_close(drawn[own], every[tokens[own]])
        starts = rectangle.starts.numpy()[: len(part.rows)]
        np.testing.assert_array_equal(tokens[starts], offsets[part.rows])
        drawn = rectangle.of_first(asked[np.resize(part.rows, part.firsts)], hidden[tokens], 0.5)
        assert drawn.shape == (part.firsts, 2, 8)
        torch.testing.assert_close(drawn[: len(part.rows)], first[part.rows])


@given(
    lengths=st.lists(st.integers(1, 300), max_size=60),
    width=st.sampled_from([16, 384, 4096]),
    workers=st.integers(1, 5),
)
def test_parts_hold_every_row_once_in_few_sizes(lengths, width, workers):
    batch = rows_of(lengths)
    parts = split_batch(batch.lengths, width, workers)
    order = np.concatenate([*(part.rows for part in parts), np.zeros(0, dtype=np.int64)])
    assert sorted(order) == list(range(len(lengths)))
    for part in parts:
        taken = batch.take(part.rows)
        np.testing.assert_array_equal(part.own.sum(1), taken.lengths)
        longest = part.own.shape[1]
        assert longest % 16 == 0
        assert longest - 16 < taken.lengths.max() <= longest
        assert part.tokens % 128 == 0
        assert 0 <= part.tokens - part.own.size < 128
        assert part.own.size <= max(128, (3 << 17) // width) or len(part.rows) == 1
        assert len(part.rows) <= part.firsts < 2 * len(part.rows)
        assert part.firsts.bit_count() == 1
        np.testing.assert_array_equal(
            part.spread(taken.ids)[: part.own.size][part.own.ravel()], taken.ids
        )
        assert part.spread(taken.ids).sum() == taken.ids.sum()
    if sum(lengths) > 200 * workers and width == 16 and max(lengths) < 100:
        assert len(parts) >= workers


def test_the_flash_operator_is_called_as_torch_declares_it():
    """Shapes alone, as torch itself computes them for tensors that have no values."""
    positions = PaddedPositions.of(rows_of([3, 1, 2]), CPU, 3)
    there = PaddedPositions(*(tensor.to("meta") for tensor in positions.tensors))
    drawn = Varlen(there).of_all(torch.empty(6, 3, 2, 8, device="meta", dtype=torch.bfloat16))
    assert drawn.shape == (6, 16)
    assert drawn.dtype == torch.bfloat16


def test_flash_attention_is_only_for_gpus_and_sixteen_bits():
    assert not Varlen.works(CPU, torch.bfloat16, 2, 16)
    assert not Varlen.works(torch.device("cuda"), torch.float32, 2, 16)


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=80))
def test_batches_are_filled_up_to_few_sizes(lengths):
    batch = rows_of(lengths)
    more = pad_to_recorded_size(batch)
    np.testing.assert_array_equal(more.ids[: len(batch.ids)], batch.ids)
    np.testing.assert_array_equal(more.offsets[: len(batch) + 1], batch.offsets)
    assert len(more) > len(batch)
    assert more.lengths.min() >= 1
    assert more.lengths.max() == batch.lengths.max()
    assert padded_columns(more) % 128 == 0
    for number in (len(more), len(more.ids)):
        assert number % 8 == 0
        assert number % (1 << max(0, number.bit_length() - 4)) == 0
    if len(batch.ids) > 400:
        assert len(more.ids) < 1.4 * len(batch.ids)


def test_a_filled_batch_gives_its_own_rows_the_same_logits(tiny, texts):
    batch = read(tiny("bert"), texts)
    engine = packed(tiny("bert"), attention=Padded)
    expected = engine.logits(batch)
    np.testing.assert_allclose(
        engine.logits(pad_to_recorded_size(batch))[: len(batch)], expected, atol=1e-5
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device, which has graphs")
def test_without_graphs_the_function_itself_is_called(caplog):
    graphs = Graphs(lambda tensor: tensor + 1, torch.device("cuda:0"))
    for _ in range(2):
        assert graphs(torch.ones(2)).tolist() == [2, 2]
    assert not graphs.works
    assert len(caplog.messages) == 1
    assert "CUDA graphs are left off" in caplog.text


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("graphs", [False, True])
def test_a_gpu_gives_the_logits_of_the_cpu(tiny, texts, precision, graphs):
    batch = read(tiny("bert"), texts)
    expected = packed(tiny("bert")).logits(batch)
    device = torch.device("cuda", 0)
    engine = packed(tiny("bert"), device=device, precision=precision, graphs=graphs)
    for _ in range(3):
        found = engine.logits(batch)
        np.testing.assert_allclose(found, expected, atol=1e-3 if precision == "fp32" else 0.1)
    if graphs:
        assert engine._graphs.works
        assert len(engine._graphs._recorded) == 1


class Device:
    """An engine whose logits are each row's first token; it counts, and can break."""

    labels, vocabulary_size, max_positions, token_budget = 1, 1000, None, 40

    def __init__(self, lanes: int = 1, breaks: int | None = None) -> None:
        self.lanes, self.devices = lanes, 1
        self.breaks = breaks
        self.batches = 0
        self.together = threading.Barrier(lanes)
        self.lock = threading.Lock()

    def logits(self, batch: TokenRows) -> np.ndarray:
        with self.lock:
            self.batches += 1
            if self.breaks is not None and self.batches > self.breaks:
                raise RuntimeError("device-side assert")
        return batch.ids[batch.offsets[:-1], None].astype(np.float32)


LENGTHS = st.lists(st.integers(1, 20), min_size=1, max_size=60)


@given(lengths=LENGTHS, lanes=st.integers(1, 3))
def test_lanes_keep_each_rows_logits_and_the_count(lengths, lanes):
    rows, told = rows_of(lengths), []
    logits = BatchRunner(Device(lanes)).run(rows, done=told.append)
    np.testing.assert_array_equal(logits[:, 0], rows.ids[rows.offsets[:-1]])
    assert sum(told) == len(lengths)


def test_as_many_batches_are_given_at_one_time_as_there_are_lanes():
    class Meeting(Device):
        def logits(self, batch):
            self.together.wait(60)  # for another thread
            return super().logits(batch)

    rows = rows_of([20] * 8)  # four batches
    logits = BatchRunner(Meeting(2)).run(rows)
    np.testing.assert_array_equal(logits[:, 0], rows.ids[rows.offsets[:-1]])


@given(lengths=LENGTHS, breaks=st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=3))
def test_replicas_share_the_work_and_lose_nothing(lengths, breaks):
    engines = [Device(), *(Device(breaks=number) for number in breaks)]
    rows, replicas = rows_of(lengths), Replicas(engines)
    for _ in range(2):
        logits = BatchRunner(replicas).run(rows)
        np.testing.assert_array_equal(logits[:, 0], rows.ids[rows.offsets[:-1]])
    lost = sum(e.breaks is not None and e.batches > e.breaks for e in engines)
    assert replicas.devices == len(engines) - lost


def test_each_replica_gets_its_share(caplog):
    class Slow(Device):
        token_budget = 100_000

        def logits(self, batch):
            met.wait(60)  # none goes on before all have something to do
            return super().logits(batch)

    met = threading.Barrier(3)
    engines = [Slow() for _ in range(3)]
    assert len(BatchRunner(Replicas(engines)).run(rows_of([100] * 300))) == 300
    assert [engine.batches for engine in engines] == [1, 1, 1]
    assert not caplog.messages


def test_a_replica_that_failed_is_asked_last_and_where_all_fail_the_first_error_is_raised(caplog):
    broken, whole = Device(breaks=0), Device(breaks=5)
    replicas, batch = Replicas([broken, whole]), rows_of([3, 2])
    for _ in range(5):
        replicas.logits(batch)
    assert (broken.batches, whole.batches) == (1, 5)
    assert "device 0 failed" in caplog.text
    with pytest.raises(RuntimeError, match="assert"):
        replicas.logits(batch)
    broken.breaks = None  # and where it is whole again, it takes over
    assert replicas.logits(batch).shape == (2, 1)


def test_a_full_memory_of_a_replica_makes_smaller_batches():
    class Small(Device):
        def logits(self, batch):
            if len(batch.ids) > 20:
                raise MemoryError("full")
            return super().logits(batch)

    replicas = Replicas([Small(), Small()])
    rows = rows_of([10] * 12)
    np.testing.assert_array_equal(
        BatchRunner(replicas).run(rows)[:, 0], rows.ids[rows.offsets[:-1]]
    )
    assert replicas.devices == 2
    with pytest.raises(RerankerError, match="room for one pair"):
        BatchRunner(replicas).run(rows_of([30]))


@pytest.mark.parametrize("device", ["cpu,cpu", ["cpu", "cpu", "cpu"]])
@pytest.mark.parametrize("engine", ["onnx", "packed"])
def test_several_devices_give_the_scores_of_one(tiny, texts, device, engine):
    pairs = [(query, text) for query in texts[:2] for text in texts]
    settings = {"engine": engine, "max_query_length": 20}
    expected = CrossEncoder(tiny("bert"), device="cpu", **settings).predict(pairs)
    model = CrossEncoder(tiny("bert"), device=device, token_budget=64, **settings)
    np.testing.assert_allclose(model.predict(pairs), expected, atol=1e-5)
