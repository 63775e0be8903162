"""Export of a model to ONNX files, if they rank as well as the model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import ExportError
from twopass.pipeline.evaluation import Collection, collect
from twopass.pipeline.fusion import reranker
from twopass.reranker.contract.scorer import PairScorer
from twopass.reranker.engines.onnx.export import FILES_BY_PRECISION, ExportedFile, Exporter
from twopass.reranker.engines.precision import LOSS
from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.retriever.base import Retriever

__all__ = ["Export", "export_model"]

_MEASURE = "nDCG@10"
_CARD = "README.md"
_HEADING = "\n## ONNX\n"


@dataclass(frozen=True, slots=True)
class Export:
    """One exported file.

    Attributes:
        path: of the file.
        precision: "fp32" or "int8".
        size: in bytes.
        before: nDCG@10 of the model on the validation queries, by its score only.
        after: of the file.
        wins: queries on which the file is better.
        losses: queries on which it is worse.
        queries: number of queries.

    """

    path: Path
    precision: str
    size: int
    before: float
    after: float
    wins: int
    losses: int
    queries: int

    @property
    def fall(self) -> float:
        """The loss of nDCG@10; negative if the file is better."""
        return self.before - self.after

    def account(self) -> str:
        """Return the figures in one line."""
        return (
            f"{_MEASURE} {self.before:.4f} -> {self.after:.4f} ({-self.fall:+.4f}; {self.wins} of "
            f"{self.queries} queries better, {self.losses} worse)"
        )


def export_model(
    model: str,
    out: Path,
    precisions: Sequence[Literal["fp32", "int8"]],
    collection: Collection,
    retriever: Retriever,
    *,
    depth: int = 50,
    most: float = LOSS,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Export]:
    """Write ONNX files, if they rank a validation set as well as the model.

    Args:
        model: the model's name or folder.
        out: the folder to write to, made where it is missing; it may be the model's own.
            To another one, configuration, tokeniser and card are copied too.
        precisions: which files to write.
        collection: the validation set.
        retriever: finds its candidates.
        depth: candidates per query.
        most: maximum loss of nDCG@10 for any of the files.
        overwrite: replace existing files.
        progress: called with the number of queries ranked by one of the scorers.

    Raises:
        ExportError: when files exist already, or one loses too much; then nothing is written.
        ModelError: when the model cannot be loaded, or its family is not known.

    """
    exporter = Exporter(model)
    targets = {precision: out / FILES_BY_PRECISION[precision] for precision in precisions}
    if there := [str(path) for path in targets.values() if path.exists() and not overwrite]:
        raise ExportError(f"{', '.join(there)} exists already; pass --overwrite to replace it")
    whole = CrossEncoder(model, device="cpu", activation_fn=lambda logits: logits)
    written = {p: exporter.written(p, whole.encoder) for p in targets}

    def values(scorer: PairScorer) -> NDArray[np.float64]:
        pool = collect(
            *(retriever, scorer, collection.queries, collection.qrels),
            depth=depth,
            progress=progress,
        )
        found: NDArray[np.float64] = pool.measured(pool.fused(reranker), [_MEASURE])[0]
        return found

    before = values(whole)
    exports = [
        _compared(targets[precision], precision, file, before, values(file))
        for precision, file in written.items()
    ]
    _check(exports, most, collection.name)
    out.mkdir(parents=True, exist_ok=True)
    if out.resolve() != exporter.folder.resolve():
        exporter.copy_beside(out)
    for export, file in zip(exports, written.values(), strict=True):
        _write(export.path, file.graph)
    _update_card(out / _CARD, exports, f"{collection.name}, {depth} candidates a query")
    return exports


def _compared(
    path: Path,
    precision: str,
    file: ExportedFile,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> Export:
    return Export(
        path,
        precision,
        len(file.graph),
        float(before.mean()),
        float(after.mean()),
        int((after > before).sum()),
        int((after < before).sum()),
        len(before),
    )


def _check(exports: Sequence[Export], most: float, name: str) -> None:
    fallen = [each for each in exports if each.fall > most]
    if not fallen:
        return
    figures = "; ".join(f"{each.precision}: {each.account()}" for each in fallen)
    kept = [each.precision for each in exports if each not in fallen]
    advice = f"export only {kept[0]} (--precision {kept[0]})" if kept else "use the model itself"
    raise ExportError(
        f"expected {_MEASURE} on {name} to fall by at most {most:g}, found {figures}; nothing was "
        f"written; {advice}, or measure on more queries: differences on few are mostly chance"
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        part.write(content)
    Path(part.name).chmod(0o644)
    Path(part.name).replace(path)


def _update_card(card: Path, exports: Sequence[Export], measured: str) -> None:
    """Add the figures to the model's card, replacing earlier ones."""
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    lines = [
        f"{_HEADING}",
        f"| file | precision | MB | {_MEASURE} of the model, {measured} | of the file |",
        "|---|---|---|---|---|",
        *(
            f"| `{each.path.parent.name}/{each.path.name}` | {each.precision} "
            f"| {each.size / 1e6:.1f} | {each.before:.4f} | {each.after:.4f} |"
            for each in exports
        ),
    ]
    card.write_text(text.partition(_HEADING)[0] + "\n".join(lines) + "\n", encoding="utf-8")
