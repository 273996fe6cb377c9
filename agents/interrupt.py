"""Ctrl-C that leaves whole iterations behind."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interrupt:
    """Ctrl-C, heard between iterations, so that what is saved is whole; a second one stops at once, and saves nothing.

    Only the main thread is ever interrupted; elsewhere nothing is heard.
    """

    def __init__(self) -> None:
        self.heard = False
        self._main = threading.current_thread() is threading.main_thread()
        self._before = signal.signal(signal.SIGINT, self._hear) if self._main else None

    def _hear(self, *_: Any) -> None:
        if self.heard:
            raise KeyboardInterrupt
        self.heard = True

    def forget(self) -> None:
        """Leave Ctrl-C to whoever had it before."""
        if self._main:
            signal.signal(signal.SIGINT, self._before or signal.default_int_handler)
