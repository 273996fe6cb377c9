"""Explorers: behavior policies of training, one per file."""

from agents.exploration.explorer import Behaviors, Explorer
from agents.exploration.noisy import Noisy
from agents.exploration.teacher import Teacher
from agents.exploration.temperature import Temperature
from agents.exploration.thompson import Thompson

__all__ = ["EXPLORERS", "Behaviors", "Explorer", "Noisy", "Teacher", "Temperature", "Thompson"]

#: name -> explorer
EXPLORERS: dict[str, type[Explorer]] = {kind.name: kind for kind in (Explorer, Teacher, Thompson, Noisy, Temperature)}
