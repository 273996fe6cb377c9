"""GFlowNet agents, one per file."""

from agents.gflownets.cb import CB
from agents.gflownets.db import DB
from agents.gflownets.fm import FM
from agents.gflownets.forward_looking import FLDB, FLSubTB
from agents.gflownets.gafn import GAFN
from agents.gflownets.guided.gtb import GTB
from agents.gflownets.mdb import MDB
from agents.gflownets.policy_gradient.rl_b import RLB
from agents.gflownets.policy_gradient.rl_eb import RLEB
from agents.gflownets.policy_gradient.rl_g import RLG
from agents.gflownets.policy_gradient.rl_ppo import RLPPO
from agents.gflownets.policy_gradient.rl_t import RLT
from agents.gflownets.policy_gradient.rl_u import RLU
from agents.gflownets.subtb import SubTB
from agents.gflownets.tb import TB
from agents.gflownets.vargrad import VarGrad

__all__ = [
    "CB",
    "DB",
    "FLDB",
    "FM",
    "GAFN",
    "GTB",
    "MDB",
    "RLB",
    "RLEB",
    "RLG",
    "RLPPO",
    "RLT",
    "RLU",
    "TB",
    "FLSubTB",
    "SubTB",
    "VarGrad",
]
