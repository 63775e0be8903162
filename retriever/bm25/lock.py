"""One writer at a time, across processes."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from retriever.base import LockedError

__all__ = ["WriterLock"]


class WriterLock:
    """The right to write one index folder; the system takes it back from a process that dies.

    ``writer.lock`` carries the lock. Who has it stands in ``writer.json``, for messages only:
    that file means nothing while the lock is free.

    Raises:
        LockedError: when another writer has it.

    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock, Timeout

        self._holder = folder / "writer.json"
        # Not per thread: the index may be closed by another thread than the one that wrote.
        self._lock = FileLock(folder / "writer.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise LockedError(
                f"{folder}: expected no other writer, but {self._describe()} is writing; "
                "close that writer or wait for it to end, then try again"
            ) from error
        holder = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with suppress(OSError):  # on a full disk; the lock does not depend on it
            self._holder.write_text(json.dumps(holder))

    def release(self) -> None:
        """Give the right back."""
        self._lock.release()

    def _describe(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
            return f"process {holder['process']} on {holder['host']} (since {holder['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
