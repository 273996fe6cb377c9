"""Explorers: behavior policies of training, beyond epsilon and temperature.

An agent takes an explorer by its name, ``explorer="teacher"``, with keywords, ``explorer="thompson(members=5)"``, or as
the ``module:name`` of your own subclass of :class:`Explorer`. GFlowNet objectives are off-policy: they learn R from any
behavior policy with full support. Evaluations sample P_F.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from agents.keywords import class_named
from agents.rollout import Logits
from agents.trajectories import Trajectories

#: Policies as functions of states, None for P_F, and the number of trajectories that each samples.
Behaviors = list[tuple[Logits | None, int]]


class Explorer:
    """Samples from P_F. Subclasses sample from elsewhere; their keywords are the arguments of ``__init__``."""

    name: ClassVar[str] = "none"

    def modules(self, agent: Any) -> dict[str, nn.Module]:
        """Additional networks by name, for ``agent.modules``: trained at the rate ``lr``, saved in checkpoints."""
        return {}

    def behaviors(self, agent: Any, n: int) -> Behaviors:
        """Policies of the next ``n`` trajectories. Called once per batch, in inference mode. Draw from ``agent.rng``.

        Each trajectory keeps one policy until its end, so that members of an ensemble explore consistently.
        """
        return [(agent.behavior(), n)]

    def loss(self, agent: Any, batch: Trajectories) -> Tensor | None:
        """Loss of :meth:`modules` on a batch that the agent learns from, a scalar; None: they do not learn."""
        return None


def make_explorer(text: str, known: dict[str, type[Explorer]]) -> Explorer:
    """The explorer that a setting describes.

    Args:
        text: a name in ``known``, or ``module:name``, optionally with keywords in parentheses.
        known: name -> class.

    Raises:
        ValueError: an unknown name, or keywords that the explorer does not take.
        ImportError: a named module does not exist or cannot be imported.
        TypeError: ``module:name`` is not a subclass of Explorer.
    """
    kind, keywords = class_named(text, "explorer", "members=5", known, Explorer)
    try:
        return kind(**keywords)
    except (TypeError, ValueError) as error:
        raise ValueError(f"explorer {text}: {error}") from None
