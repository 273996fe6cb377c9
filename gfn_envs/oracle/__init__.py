"""Expensive rewards: calls in worker processes or on a cluster, within a budget, and kept in a log."""

from gfn_envs.oracle.oracle import Oracle as Oracle
from gfn_envs.oracle.store import CallLog as CallLog
