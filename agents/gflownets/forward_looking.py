"""Forward-looking detailed balance and sub-trajectory balance."""

from __future__ import annotations

import torch

from agents.errors import UnsupportedError
from agents.gflownets.db import DB, FlowAgent
from agents.gflownets.subtb import SubTB
from agents.log_probs import EdgeTerms
from agents.trajectories import Trajectories


class ForwardLooking(FlowAgent):
    """State flows are corrections to an intermediate reward: log F(s) = E(s) + f(s) (Pan et al. 2023).

    E is ``dag.partial_log_reward``, 0 at s0 and log R at terminal states; the network predicts f.
    """

    paper = "Pan et al. 2023"

    def check(self) -> None:
        try:
            self.dag.partial_log_reward(self.dag.source(1))
        except NotImplementedError as error:
            raise UnsupportedError(f"agent {self.name!r} needs intermediate rewards: {error}") from None

    def terms(self, trajectories: Trajectories) -> EdgeTerms:
        terms = super().terms(trajectories)
        assert terms.log_flow is not None
        partial = self.dag.partial_log_reward(trajectories.states)
        partial[trajectories.last] = 0.0  # There log F is log R already.
        return terms._replace(log_flow=terms.log_flow + torch.from_numpy(partial).to(terms.log_flow))


class FLDB(ForwardLooking, DB):
    """Forward-looking detailed balance: state flows as corrections to intermediate rewards."""

    name = "fldb"


class FLSubTB(ForwardLooking, SubTB):
    """Forward-looking sub-trajectory balance: SubTB(lambda) with corrections to intermediate rewards."""

    name = "flsubtb"
