"""Messages to whoever listens at the moment, and to nobody else: only for what may be lost."""

from rediscore.pubsub.channels import LiveChannels
from rediscore.pubsub.inbox import MISSED, Missed
from rediscore.pubsub.topic import Topic

__all__ = ["MISSED", "LiveChannels", "Missed", "Topic"]
