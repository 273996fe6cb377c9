"""Environments for generative flow networks: DAGs with one source and a reward on the terminal states.

Importing this package registers every environment with Gymnasium::

    import gymnasium as gym
    import gfn_envs

    env = gym.make("GFN/HyperGrid-v0", ndim=4, side=8)
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=4, side=8)  # the batched core alone
"""

import sys
import warnings

from gfn_envs import clash, exact
from gfn_envs.checker import DagError, check_dag
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError
from gfn_envs.envs.assignments.bit_sequence import BitSequence
from gfn_envs.envs.assignments.factor_graph import FactorGraph
from gfn_envs.envs.assignments.ising import Ising
from gfn_envs.envs.assignments.permutation import Permutation
from gfn_envs.envs.bag import Bag
from gfn_envs.envs.bayes_net.bayes_net import BayesNet
from gfn_envs.envs.graphs.graph import Graph
from gfn_envs.envs.graphs.independent_set import IndependentSet
from gfn_envs.envs.graphs.max_cut import MaxCut
from gfn_envs.envs.graphs.tsp import TSP
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid
from gfn_envs.envs.molecules.atom_molecule import AtomMolecule
from gfn_envs.envs.molecules.fragment_molecule import FragmentMolecule
from gfn_envs.envs.phylogenetics.phylo_tree import PhyloTree
from gfn_envs.envs.proteins.amp import AMP
from gfn_envs.envs.proteins.gfp import GFP
from gfn_envs.envs.proteins.inverse_folding import InverseFolding
from gfn_envs.envs.sets.set import Set
from gfn_envs.envs.strings.mutation import Mutation
from gfn_envs.envs.strings.pho4 import PHO4
from gfn_envs.envs.strings.qm9_str import QM9Str
from gfn_envs.envs.strings.rna import RNA
from gfn_envs.envs.strings.seh_str import SEHStr
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.envs.strings.tfbind8 import TFBind8
from gfn_envs.gym import GFNEnv, GFNVectorEnv
from gfn_envs.networkx_export import to_networkx
from gfn_envs.oracle import Oracle
from gfn_envs.registration import ENVIRONMENTS, make_dag, register, registered_ids

if _warning := clash.foreign_agents(sys.modules):
    warnings.warn(_warning, RuntimeWarning, stacklevel=2)

__version__ = "0.1.0"

__all__ = [
    "AMP",
    "ENVIRONMENTS",
    "GFP",
    "PHO4",
    "RNA",
    "TSP",
    "AtomMolecule",
    "Bag",
    "BayesNet",
    "BitSequence",
    "Dag",
    "DagError",
    "EnumerationError",
    "FactorGraph",
    "FragmentMolecule",
    "GFNEnv",
    "GFNVectorEnv",
    "Graph",
    "HyperGrid",
    "IndependentSet",
    "InverseFolding",
    "Ising",
    "MaxCut",
    "Mutation",
    "Oracle",
    "Permutation",
    "PhyloTree",
    "QM9Str",
    "SEHStr",
    "Sequence",
    "Set",
    "TFBind8",
    "check_dag",
    "exact",
    "make_dag",
    "register",
    "registered_ids",
    "to_networkx",
]


for _id, (_dag, _kwargs) in ENVIRONMENTS.items():
    register(_id, _dag, **_kwargs)
