"""The test kit: real servers, a proxy that injects faults, a clock that obeys.

Load the fixtures with `pytest_plugins = ["rediscore.testing.plugin"]`.
"""

from rediscore.embedded import EmbeddedServer
from rediscore.testing.clock import ManualClock, ServerTime
from rediscore.testing.cluster import ClusterServers
from rediscore.testing.patience import patient_settings
from rediscore.testing.proxy import FaultProxy
from rediscore.testing.scripts import load_scripts
from rediscore.testing.sentinel import SentinelServers
from rediscore.testing.server import ContainerServer, ServerUnderTest
from rediscore.testing.waiting import eventually

__all__ = [
    "ClusterServers",
    "ContainerServer",
    "EmbeddedServer",
    "FaultProxy",
    "ManualClock",
    "SentinelServers",
    "ServerTime",
    "ServerUnderTest",
    "eventually",
    "load_scripts",
    "patient_settings",
]
