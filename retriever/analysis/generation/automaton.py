"""A regular grammar, compiled by way of a nondeterministic automaton."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rule", "determine", "either", "many", "maybe", "one", "sequence", "some"]


@dataclass
class Automaton:
    """A nondeterministic automaton under construction."""

    edges: list[list[tuple[frozenset[int], int]]] = field(default_factory=list)
    empty: list[list[int]] = field(default_factory=list)

    def state(self) -> int:
        """Add a state; return its number."""
        self.edges.append([])
        self.empty.append([])
        return len(self.edges) - 1

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """Return the states that these reach without reading anything."""
        todo = list(states)
        seen = set(todo)
        while todo:
            for target in self.empty[todo.pop()]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return frozenset(seen)


# A rule adds itself to the automaton after a state and returns the state where it ends.
Rule: TypeAlias = Callable[[Automaton, int], int]


def one(symbols: frozenset[int]) -> Rule:
    """One character of these classes."""

    def build(automaton: Automaton, start: int) -> int:
        end = automaton.state()
        automaton.edges[start].append((symbols, end))
        return end

    return build


def sequence(*rules: Rule) -> Rule:
    """Each rule after the one before."""

    def build(automaton: Automaton, start: int) -> int:
        for rule in rules:
            start = rule(automaton, start)
        return start

    return build


def either(*rules: Rule) -> Rule:
    """Any one of the rules."""

    def build(automaton: Automaton, start: int) -> int:
        end = automaton.state()
        for rule in rules:
            automaton.empty[rule(automaton, start)].append(end)
        return end

    return build


def many(rule: Rule) -> Rule:
    """Nought or more."""

    def build(automaton: Automaton, start: int) -> int:
        loop = automaton.state()
        automaton.empty[start].append(loop)
        automaton.empty[rule(automaton, loop)].append(loop)
        end = automaton.state()
        automaton.empty[loop].append(end)
        return end

    return build


def some(rule: Rule) -> Rule:
    """One or more."""
    return sequence(rule, many(rule))


def maybe(rule: Rule) -> Rule:
    """Nought or one."""
    return either(rule, sequence())


def determine(kinds: list[Rule], symbols: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Compile: transitions (states, symbols) uint8 and kinds (states,) uint8.

    State 0 is dead and 1 is the start; kind 0 means that no token ends in the state, and of
    several kinds that end there the first wins.
    """
    automaton = Automaton()
    start = automaton.state()
    ends = {}
    for kind, rule in enumerate(kinds, start=1):
        entry = automaton.state()
        automaton.empty[start].append(entry)
        ends[rule(automaton, entry)] = kind
    states = [frozenset[int](), automaton.closure([start])]
    table: list[list[int]] = []
    for state in states:
        row = []
        for symbol in range(symbols):
            reached = automaton.closure(
                target for s in state for over, target in automaton.edges[s] if symbol in over
            )
            if reached not in states:
                states.append(reached)
            row.append(states.index(reached))
        table.append(row)
    accepted = [min((ends[s] for s in state if s in ends), default=0) for state in states]
    return minimal(np.array(table), np.array(accepted))


def minimal(
    table: NDArray[np.intp], kinds: NDArray[np.intp]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Merge states that no continuation tells apart (Moore's algorithm)."""
    group, count = kinds, 0
    while True:
        view = np.concatenate([group[:, None], group[table]], axis=1)
        _, first, group = np.unique(view, axis=0, return_index=True, return_inverse=True)
        group = group.ravel()
        if len(first) == count:
            break
        count = len(first)
    # In the order found, so that dead stays 0 and the start 1; but those that accept come last.
    first = np.array(sorted(first, key=lambda state: (kinds[state] > 0, state)))
    renamed = np.empty(count, dtype=np.uint8)
    renamed[group[first]] = np.arange(count)
    return renamed[group[table[first]]], kinds[first].astype(np.uint8)
