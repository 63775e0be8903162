"""Run by test_crash.py: a writer is killed again and again, and the index looked at each time.

``python crashing.py FOLDER KILLS SEED``. This process compiles what is needed once; each writer is
a fork of it that changes the index until SIGKILL comes. A writer notes each change in a journal
before it begins and after it has returned, so that the last state that must be there is known, and
the only other one that may be.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index

State = dict[str, int]  # id -> version


def document(id: str, version: int) -> Document:
    words = random.Random(f"{id} {version}").choices([f"w{i}" for i in range(300)], k=40)
    return Document(id, " ".join(words), title=f"version {version}", metadata={"version": version})


def changed(state: State, change: dict[str, list]) -> State:
    after = {id: version for id, version in state.items() if id not in change["delete"]}
    for id, version in change["put"]:
        after.pop(id, None)
        after[id] = version
    return after


def next_change(rng: random.Random, state: State) -> dict[str, list]:
    if state and rng.random() < 0.25:
        return {"delete": rng.sample(list(state), min(len(state), rng.randint(1, 5))), "put": []}
    ids = {f"d{rng.randint(0, 400)}" for _ in range(rng.randint(1, 12))}
    return {"delete": [], "put": [[id, rng.randint(0, 10**6)] for id in sorted(ids)]}


def write(folder: Path, journal: Path, state: State, seed: str) -> None:
    """Change the index until killed."""
    rng = random.Random(seed)
    log = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    index = BM25Index.open(folder)
    while True:
        change = next_change(rng, state)
        os.write(log, f"begin {json.dumps(change)}\n".encode())
        if change["put"]:
            index.update([document(id, version) for id, version in change["put"]])
        else:
            index.delete(change["delete"])
        os.write(log, b"done\n")
        state = changed(state, change)


def kill_one(folder: Path, journal: Path, state: State, seed: str) -> list[State]:
    """Start a writer and kill it; return the states that may be there, the oldest first."""
    journal.write_text("")
    child = os.fork()
    if not child:
        try:
            write(folder, journal, state, seed)
        finally:
            os._exit(1)
    wait_for_changes(journal, random.Random(seed))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        sys.exit("the writer ended by itself")
    states = [state]
    for line in journal.read_text().splitlines():
        if line.startswith("begin "):
            states.append(changed(states[-1], json.loads(line.removeprefix("begin "))))
        else:
            states = states[-1:]
    return states


def wait_for_changes(journal: Path, rng: random.Random) -> None:
    """Wait for some changes and a part of one more, however fast the machine is."""
    changes = rng.randint(0, 3)
    while not journal.stat().st_size:
        time.sleep(0.001)
    start = time.perf_counter()
    while journal.read_text().count("done") < changes:
        time.sleep(0.001)
    one = (time.perf_counter() - start) / changes if changes else 0.05
    time.sleep(rng.uniform(0, 1.5) * one)


def look(folder: Path, states: list[State]) -> State:
    """Open the index as a reader, and return which of the states it is in."""
    index = BM25Index.open(folder)
    index.verify()
    words = " ".join(f"w{i}" for i in range(300))
    ids = index.search([words], 10_000)[0].ids.tolist()
    for state in states:
        whole = len(index) == len(state) and set(ids) == set(state)
        if whole and all(index.get(id) == document(id, state[id]) for id in state):
            return state
    sys.exit(f"expected {' or '.join(str(len(s)) for s in states)} documents, found {len(index)}")


def main(folder: Path, kills: int, seed: str) -> None:
    BM25Index.build([document("d0", 0)], folder, analyzer="whitespace")
    state = {"d0": 0}
    changes = 0
    for kill in range(kills):
        states = kill_one(folder, folder.with_suffix(".journal"), state, f"{seed} {kill}")
        found = look(folder, states)
        changes += found is not state
        state = found
    with BM25Index.open(folder) as index:  # the next writer removes what the killed ones left
        index.update([document("d0", 0)])
    state = look(folder, [changed(state, {"delete": [], "put": [["d0", 0]]})])
    rebuilt = BM25Index.build((document(*each) for each in state.items()), analyzer="whitespace")
    queries = ["w1 w2 w3", "version", "w299 w7 w7"]
    for ours, theirs in zip(index.search(queries, 50), rebuilt.search(queries, 50), strict=True):
        if (
            ours.ids.tolist() != theirs.ids.tolist()
            or ours.scores.tolist() != theirs.scores.tolist()
        ):
            sys.exit("expected the ranking of a rebuild, found another")
    named = {record.name for record in index.snapshot.manifest.files()}
    found_files = {path.name for path in folder.iterdir()}
    if found_files != named | {"manifest.json", "writer.json", "writer.lock"}:
        sys.exit(f"expected no leftovers, found {sorted(found_files - named)}")
    sys.stdout.write(json.dumps({"kills": kills, "kills_after_a_commit": changes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
