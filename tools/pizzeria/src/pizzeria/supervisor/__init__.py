"""Runs the pizzeria's processes and keeps them running."""

from pizzeria.supervisor.keeper import Change
from pizzeria.supervisor.options import Simulation, SupervisorOptions
from pizzeria.supervisor.services import REDIS, SIMULATORS
from pizzeria.supervisor.supervisor import Supervisor

__all__ = ["REDIS", "SIMULATORS", "Change", "Simulation", "Supervisor", "SupervisorOptions"]
