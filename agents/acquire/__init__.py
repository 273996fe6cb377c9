"""Active learning: fit a surrogate, train a GFlowNet on its acquisition function, call the reward, repeat."""

from agents.acquire.acquisition import ACQUISITIONS as ACQUISITIONS
from agents.acquire.found import Found as Found
from agents.acquire.rounds import acquire as acquire
from agents.acquire.searches import genetic_search as genetic_search
from agents.acquire.searches import mcmc_search as mcmc_search
from agents.acquire.searches import random_search as random_search
from agents.acquire.surrogates import SURROGATES as SURROGATES
from agents.acquire.surrogates import Surrogate as Surrogate
