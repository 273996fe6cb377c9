"""Ctrl-C that leaves whole iterations behind."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interrupt:
    """Ctrl-C, heard between iterations, so that what is saved is whole; a second one stops at once, and saves nothing.

    Only the main thread is ever interrupted; elsewhere nothing is heard, nor where Ctrl-C is ignored, as in jobs that a
    shell script put into the background.
    """

    def __init__(self) -> None:
        self.heard = False
        self._before = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        # None: a handler that is not Python's, which could not be given back.
        self._listens = main and self._before not in (signal.SIG_IGN, None)
        if self._listens:
            signal.signal(signal.SIGINT, self._hear)

    def _hear(self, *_: Any) -> None:
        if self.heard:
            raise KeyboardInterrupt
        self.heard = True

    def forget(self) -> None:
        """Leave Ctrl-C to whoever had it before."""
        if self._listens:
            signal.signal(signal.SIGINT, self._before)
