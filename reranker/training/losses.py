"""Losses over a query's list of passages, as formulas with sources.

Below, s_i is the student's logit, t_i the teacher's score, y_i the label of passage i.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from twopass.plugins import load_plugin, plugin_names
from twopass.reranker.contract.errors import RecipeError
from twopass.reranker.training.examples import Example
from twopass.reranker.training.loss import (
    LOSSES,
    Loss,
    centred,
    differences,
    log_softmax,
    loss_type,
    mean,
    ordered,
    ranks,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BinaryCrossEntropy",
    "Distillation",
    "LambdaLoss",
    "ListSoftmax",
    "MarginMSE",
    "RankNet",
    "make_loss",
]


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise RecipeError(f"{name}: expected a number above 0, found {value}")


def _judged_apart(example: Example) -> bool:
    """Whether at least two labels differ, so that an order follows from them."""
    return len(set(example.labels)) > 1


@loss_type(
    "bce",
    needs="pairs",
    citation="Nogueira & Cho, 2019, Passage Re-ranking with BERT, arXiv:1901.04085.",
)
@dataclass(frozen=True, slots=True)
class BinaryCrossEntropy(Loss):
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
        return mean(each, mask)


@loss_type(
    "softmax",
    needs="lists",
    citation="Cao et al., 2007, Learning to Rank: From Pairwise Approach to Listwise Approach.",
)
@dataclass(frozen=True, slots=True)
class ListSoftmax(Loss):
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
        return -(shares * log_softmax(logits / self.temperature, mask)).sum(1)


@loss_type(
    "margin-mse",
    needs="teacher",
    citation="Hofstätter et al., 2020, arXiv:2010.02666.",
)
@dataclass(frozen=True, slots=True)
class MarginMSE(Loss):
    """The teacher's distances between relevant and other passages.

    ::

        mean over i, j with y_i > 0 >= y_j of ((s_i - s_j) - (t_i - t_j))²

    Hofstätter et al. 2020, "Improving Efficient Neural Ranking Models with Cross-Architecture
    Knowledge Distillation", arXiv:2010.02666. There a list is one triple; here, all its pairs.
    """

    def usable(self, example: Example) -> bool:
        """Take lists with a relevant passage, another, and the teacher's scores."""
        return bool(example.scores) and 0 < example.positives < len(example.passages)

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return each list's mean squared error, (g,)."""
        relevant = (labels > 0) & mask
        pairs = relevant.unsqueeze(2) & (mask & ~relevant).unsqueeze(1)
        apart = differences(logits) - differences(scores.nan_to_num())
        return mean((apart**2).flatten(1), pairs.flatten(1))


@loss_type(
    "distill",
    needs="lists",
    citation="Hinton, Vinyals & Dean, 2015, arXiv:1503.02531.",
)
@dataclass(frozen=True, slots=True)
class Distillation(Loss):
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
        wanted = log_softmax(taught, mask).exp() * mask * (1 - share)
        wanted = wanted + share * relevant / total.clamp(min=1e-9)
        apart = wanted.clamp(min=1e-12).log() - log_softmax(logits, mask)
        loss = (wanted * apart).sum(1)
        if self.shape:
            error = centred(logits, mask) - centred(taught, mask)
            loss = loss + self.shape * mean(error**2, mask & has_teacher)
        if self.level:
            loss = loss + self.level * mean((logits - taught) ** 2, mask & has_teacher)
        return loss


@loss_type(
    "ranknet",
    needs="lists",
    citation="Burges et al., 2005, Learning to Rank using Gradient Descent.",
)
@dataclass(frozen=True, slots=True)
class RankNet(Loss):
    """Every pair of a list in the labels' order.

    ::

        mean over i, j with y_i > y_j of log(1 + exp(-σ (s_i - s_j)))

    Burges et al. 2005, "Learning to Rank using Gradient Descent".

    Args:
        sigma: σ, how steep the logistic function is.

    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        _positive(sigma=self.sigma)

    def usable(self, example: Example) -> bool:
        """Take lists with two different labels."""
        return _judged_apart(example)

    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return each list's mean over ordered pairs, (g,)."""
        del scores
        from torch.nn.functional import softplus

        each = softplus(-self.sigma * differences(logits))
        return mean(each.flatten(1), ordered(labels, mask).flatten(1))


@loss_type(
    "lambda",
    needs="lists",
    citation="Wang et al., 2018, The LambdaLoss Framework for Ranking Metric Optimization.",
)
@dataclass(frozen=True, slots=True)
class LambdaLoss(Loss):
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

        positions, weights = self._weights(logits.detach(), labels, mask)
        kept = ordered(labels, mask)
        if self.k is not None:
            top = positions <= self.k
            kept = kept & (top.unsqueeze(2) | top.unsqueeze(1))
        each = softplus(-self.sigma * differences(logits)) / log(2)
        return (each * weights * kept).flatten(1).sum(1)

    def _weights(self, logits: Tensor, labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ranks (g, s), from 1, and the pairs' weights (g, s, s)."""
        positions = ranks(logits.masked_fill(~mask, float("-inf")))
        gains = (2.0 ** labels.clamp(min=0) - 1) * mask
        ideal = gains / (1 + ranks(gains.masked_fill(~mask, -1.0))).log2()
        if self.k is not None:
            ideal = ideal * (ranks(gains.masked_fill(~mask, -1.0)) <= self.k)
        gains = gains / ideal.sum(1, keepdim=True).clamp(min=1e-9)
        rho = differences(1 / (1 + positions).log2()).abs()
        apart = differences(positions).abs().clamp(min=1)
        delta = (1 / (1 + apart).log2() - 1 / (2 + apart).log2()).abs()
        return positions, (rho + self.mu * delta) * differences(gains).abs()


def make_loss(name: str, **parameters: Any) -> Loss:
    """Return the loss of that name: registered by ``loss``, or an entry point's.

    Raises:
        RecipeError: when there is none, or it has no such parameter.

    """
    kind: Any = LOSSES.get(name) or load_plugin("twopass.losses", name)
    if kind is None:
        known = plugin_names("twopass.losses", LOSSES)
        raise RecipeError(f"loss: expected one of {', '.join(known)}, found {name!r}")
    known = [field.name for field in fields(kind)]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise RecipeError(
            f"loss {name!r}: expected parameters of {', '.join(known) or '(none)'}, "
            f"found {', '.join(unknown)}"
        )
    made: Loss = kind(**parameters)
    return made
