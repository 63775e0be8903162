"""What training makes small: losses over a query's list of passages, as formulas with sources.

Each is a frozen value that is called with padded lists and gives one number a list::

    loss(logits, labels, scores, mask) -> (g,)

    logits   (g, s) float32: the student's raw outputs
    labels   (g, s) float32: relevance, above 0 for relevant; 0 where nobody judged
    scores   (g, s) float32: the teacher's scores; NaN where there is none
    mask     (g, s) bool: which places hold a passage; the others never count

Below, s_i is the student's logit, t_i the teacher's score, y_i the label of passage i.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from twopass.reranker.contract.errors import RecipeError
from twopass.reranker.training.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "Distillation",
    "LambdaLoss",
    "ListSoftmax",
    "Loss",
    "MarginMSE",
    "RankNet",
    "make_loss",
]


class Loss(Protocol):
    """One loss: see the module."""

    @property
    def pairwise_data(self) -> bool:
        """Whether it takes single pairs, so that a batch is counted in pairs and not in lists."""
        ...

    def usable(self, example: Example) -> bool:
        """Tell whether there is anything to learn from this example."""
        ...

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return the loss of each list, (g,)."""
        ...


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise RecipeError(f"{name}: expected a number above 0, found {value}")


def _judged_apart(example: Example) -> bool:
    """Whether at least two labels differ, so that an order follows from them."""
    return len(set(example.labels)) > 1


@dataclass(frozen=True, slots=True)
class BinaryCrossEntropy:
    """Each pair is relevant or not.

    ::

        -w y log σ(a(s)) - (1 - y) log(1 - σ(a(s)))

    with w = ``pos_weight`` for relevant pairs and a the activation; a list's mean. With the
    identity this is sentence-transformers' ``BinaryCrossEntropyLoss``, the loss of cross-encoders
    since Nogueira & Cho 2019, "Passage Re-ranking with BERT", arXiv:1901.04085.

    Args:
        pos_weight: how much more a relevant pair counts: about negatives by positives.
        activation: of the logit before the loss: "identity", "tanh" or "softsign".

    """

    pos_weight: float = 1.0
    activation: Literal["identity", "tanh", "softsign"] = "identity"
    pairwise_data: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _positive(pos_weight=self.pos_weight)
        if self.activation not in ("identity", "tanh", "softsign"):
            raise RecipeError(
                f"activation: expected identity, tanh or softsign, found {self.activation!r}"
            )

    def usable(self, example: Example) -> bool:
        """Take whatever is labelled."""
        return bool(example.labels)

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return the mean over each list's pairs, (g,)."""
        del scores
        from torch.nn import functional

        if self.activation != "identity":
            logits = getattr(functional, self.activation)(logits)
        each = functional.binary_cross_entropy_with_logits(
            logits,
            labels.clamp(0, 1),
            pos_weight=logits.new_tensor(self.pos_weight),
            reduction="none",
        )
        return _mean(each, mask)


@dataclass(frozen=True, slots=True)
class ListSoftmax:
    """The relevant passage against the whole list.

    ::

        -Σ_i p_i log softmax(s / T)_i,   p_i = y_i / Σ_j y_j

    The top-one cross-entropy of ListNet (Cao et al. 2007, "Learning to Rank: From Pairwise Approach
    to Listwise Approach") with the labels themselves as distribution; with one relevant passage,
    the localised contrastive estimation of Gao et al. 2021, arXiv:2101.08751.

    Args:
        temperature: T.

    """

    temperature: float = 1.0
    pairwise_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _positive(temperature=self.temperature)

    def usable(self, example: Example) -> bool:
        """Take lists with a relevant passage beside another."""
        return _judged_apart(example) and example.positives > 0

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return each list's cross-entropy, (g,)."""
        del scores
        wanted = labels.clamp(min=0) * mask
        shares = wanted / wanted.sum(1, keepdim=True).clamp(min=1e-9)
        return -(shares * _log_softmax(logits / self.temperature, mask)).sum(1)


@dataclass(frozen=True, slots=True)
class MarginMSE:
    """The teacher's distances between relevant and other passages.

    ::

        mean over i, j with y_i > 0 >= y_j of ((s_i - s_j) - (t_i - t_j))²

    Hofstätter et al. 2020, "Improving Efficient Neural Ranking Models with Cross-Architecture
    Knowledge Distillation", arXiv:2010.02666. There a list is one triple; here, all its pairs.
    """

    pairwise_data: ClassVar[bool] = False

    def usable(self, example: Example) -> bool:
        """Take lists with a relevant passage, another, and the teacher's scores."""
        return bool(example.scores) and 0 < example.positives < len(example.passages)

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return each list's mean squared error, (g,)."""
        relevant = (labels > 0) & mask
        pairs = relevant.unsqueeze(2) & (mask & ~relevant).unsqueeze(1)
        apart = _differences(logits) - _differences(scores.nan_to_num())
        return _mean((apart**2).flatten(1), pairs.flatten(1))


@dataclass(frozen=True, slots=True)
class Distillation:
    """The teacher's distribution over the list, mixed with the labels'.

    ::

        KL(q ‖ softmax(s)) + shape · mean_i ((s_i - s̄) - b (t_i - t̄))²
                           + level · mean_i (s_i - b t_i)²
        q = (1 - share) softmax(b t) + share p,   p_i = y_i / Σ_j y_j

    KL(q ‖ r) = Σ q_i (log q_i - log r_i). Where a list has no relevant label, q is the teacher's
    alone; where it has no teacher, q is the labels' and the other terms are left out.
    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531 (the
    temperature is 1/b and is not applied to the student); for rerankers, Gao et al. 2020,
    arXiv:2007.11088. The second term keeps the spacing of passages that q gives next to nothing.

    Args:
        sharpness: b, the student's logits for one unit of the teacher's scores.
        label_share: of the labels in q.
        shape: weight of the second term.
        level: weight of the third.

    """

    sharpness: float = 1.0
    label_share: float = 0.0
    shape: float = 0.0
    level: float = 0.0
    pairwise_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _positive(sharpness=self.sharpness)
        if not (0 <= self.label_share <= 1 and min(self.shape, self.level) >= 0):
            raise RecipeError(
                "label_share, shape, level: expected a share from 0 to 1 and weights of at least "
                f"0, found {self.label_share}, {self.shape}, {self.level}"
            )

    def usable(self, example: Example) -> bool:
        """Take lists of two or more that a teacher has scored or that have a relevant passage."""
        return len(example.passages) > 1 and (bool(example.scores) or example.positives > 0)

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return each list's divergence, (g,)."""
        has_teacher = ~(scores.isnan() & mask).any(1, keepdim=True)
        taught = scores.nan_to_num() * self.sharpness
        relevant = labels.clamp(min=0) * mask
        total = relevant.sum(1, keepdim=True)
        share = (self.label_share * has_teacher + ~has_teacher) * (total > 0)
        wanted = _log_softmax(taught, mask).exp() * mask * (1 - share)
        wanted = wanted + share * relevant / total.clamp(min=1e-9)
        apart = wanted.clamp(min=1e-12).log() - _log_softmax(logits, mask)
        loss = (wanted * apart).sum(1)
        if self.shape:
            error = _centred(logits, mask) - _centred(taught, mask)
            loss = loss + self.shape * _mean(error**2, mask & has_teacher)
        if self.level:
            loss = loss + self.level * _mean((logits - taught) ** 2, mask & has_teacher)
        return loss


@dataclass(frozen=True, slots=True)
class RankNet:
    """Every pair of a list in the labels' order.

    ::

        mean over i, j with y_i > y_j of log(1 + exp(-σ (s_i - s_j)))

    Burges et al. 2005, "Learning to Rank using Gradient Descent".

    Args:
        sigma: σ, how steep the logistic function is.

    """

    sigma: float = 1.0
    pairwise_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _positive(sigma=self.sigma)

    def usable(self, example: Example) -> bool:
        """Take lists with two different labels."""
        return _judged_apart(example)

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return each list's mean over ordered pairs, (g,)."""
        del scores
        from torch.nn.functional import softplus

        each = softplus(-self.sigma * _differences(logits))
        return _mean(each.flatten(1), _ordered(labels, mask).flatten(1))


@dataclass(frozen=True, slots=True)
class LambdaLoss:
    """RankNet's pairs, weighted by what nDCG would gain (NDCG-Loss2++).

    ::

        Σ over i, j with y_i > y_j of (ρ_ij + μ δ_ij) |G_i - G_j| log2(1 + exp(-σ (s_i - s_j)))

        G_i = (2^y_i - 1) / maxDCG,  D(r) = log2(1 + r), r_i the rank of i by the present logits,
        ρ_ij = |1/D(r_i) - 1/D(r_j)|,  δ_ij = |1/D(|r_i - r_j|) - 1/D(|r_i - r_j| + 1)|

    Wang et al. 2018, "The LambdaLoss Framework for Ranking Metric Optimization", section 6. With
    μ = 0 the weights are LambdaRank's. Only pairs with a passage among the first k count.

    Args:
        k: how deep nDCG looks; None for the whole list.
        sigma: σ.
        mu: μ.

    """

    k: int | None = 10
    sigma: float = 1.0
    mu: float = 10.0
    pairwise_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _positive(sigma=self.sigma, k=1 if self.k is None else self.k)
        if self.mu < 0:
            raise RecipeError(f"mu: expected a number of at least 0, found {self.mu}")

    def usable(self, example: Example) -> bool:
        """Take lists with a relevant passage beside another."""
        return _judged_apart(example) and example.positives > 0

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return each list's sum over ordered pairs, (g,)."""
        del scores
        from math import log

        from torch.nn.functional import softplus

        ranks, weights = self._weights(logits.detach(), labels, mask)
        kept = _ordered(labels, mask)
        if self.k is not None:
            top = ranks <= self.k
            kept = kept & (top.unsqueeze(2) | top.unsqueeze(1))
        each = softplus(-self.sigma * _differences(logits)) / log(2)
        return (each * weights * kept).flatten(1).sum(1)

    def _weights(self, logits: Tensor, labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ranks (g, s), from 1, and the pairs' weights (g, s, s)."""
        ranks = _ranks(logits.masked_fill(~mask, float("-inf")))
        gains = (2.0 ** labels.clamp(min=0) - 1) * mask
        ideal = gains / (1 + _ranks(gains.masked_fill(~mask, -1.0))).log2()
        if self.k is not None:
            ideal = ideal * (_ranks(gains.masked_fill(~mask, -1.0)) <= self.k)
        gains = gains / ideal.sum(1, keepdim=True).clamp(min=1e-9)
        rho = _differences(1 / (1 + ranks).log2()).abs()
        apart = _differences(ranks).abs().clamp(min=1)
        delta = (1 / (1 + apart).log2() - 1 / (2 + apart).log2()).abs()
        return ranks, (rho + self.mu * delta) * _differences(gains).abs()


LOSSES: Mapping[str, Any] = {
    "bce": BinaryCrossEntropy,
    "softmax": ListSoftmax,
    "margin-mse": MarginMSE,
    "distill": Distillation,
    "ranknet": RankNet,
    "lambda": LambdaLoss,
}
"""The losses by name."""


def make_loss(name: str, **parameters: Any) -> Loss:
    """Return the loss of that name.

    Raises:
        RecipeError: when there is none, or it has no such parameter.

    """
    if name not in LOSSES:
        raise RecipeError(f"loss: expected one of {', '.join(LOSSES)}, found {name!r}")
    kind = LOSSES[name]
    known = [field for field in kind.__dataclass_fields__ if field != "pairwise_data"]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise RecipeError(
            f"loss {name!r}: expected parameters of {', '.join(known) or '(none)'}, "
            f"found {', '.join(unknown)}"
        )
    loss: Loss = kind(**parameters)
    return loss


def _differences(values: Tensor) -> Tensor:
    """Return v_i - v_j, (g, s, s)."""
    return values.unsqueeze(2) - values.unsqueeze(1)


def _ordered(labels: Tensor, mask: Tensor) -> Tensor:
    """Return which pairs i, j are there and have y_i > y_j, (g, s, s)."""
    there = mask.unsqueeze(2) & mask.unsqueeze(1)
    return (labels.unsqueeze(2) > labels.unsqueeze(1)) & there


def _ranks(values: Tensor) -> Tensor:
    """Return each value's place in its row, from 1, the highest first; ties by place."""
    order = values.argsort(dim=1, descending=True, stable=True)
    return (order.argsort(dim=1, stable=True) + 1).to(values.dtype)


def _mean(values: Tensor, kept: Tensor) -> Tensor:
    """Return each row's mean over what is kept, 0 where that is nothing, (g,)."""
    return (values * kept).sum(1) / kept.sum(1).clamp(min=1)


def _centred(values: Tensor, mask: Tensor) -> Tensor:
    return values - _mean(values, mask).unsqueeze(1)


def _log_softmax(values: Tensor, mask: Tensor) -> Tensor:
    """Return the logarithms over the places that are there, and 0 elsewhere."""
    return values.masked_fill(~mask, float("-inf")).log_softmax(1).masked_fill(~mask, 0.0)
