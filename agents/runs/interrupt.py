"""Ctrl-C during training."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interrupt:
    """Defer SIGINT to the end of the iteration, so that checkpoints hold complete iterations.

    A second SIGINT raises KeyboardInterrupt immediately. Outside the main thread, which alone receives signals, nothing
    changes. If SIGINT was ignored, as in background jobs of a shell script, it stays ignored.

    Attributes:
        requested: whether SIGINT has arrived.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        # None is a handler that was not installed from Python. It could not be restored.
        self._installed = main and self._previous not in (signal.SIG_IGN, None)
        if self._installed:
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, *_: Any) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def restore(self) -> None:
        """Reinstall the previous handler."""
        if self._installed:
            signal.signal(signal.SIGINT, self._previous)
