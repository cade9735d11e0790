"""Reliable, ordered event streams on Redis Streams (extra `streams`)."""

from rediscore.streams.audit import AuditEntry
from rediscore.streams.checks import CheckResult
from rediscore.streams.consumer import ReliableStreams
from rediscore.streams.dead_letter_box import (
    DeadLetterBox,
    LetterPage,
    NotTheSameEvent,
    RedriveFull,
    RedriveStep,
)
from rediscore.streams.delivery import sent_again
from rediscore.streams.errors import MalformedEntry, NotActive, Postpone, Reject
from rediscore.streams.event import CloudEvent, RawEvent, decode_entry, encode_entry
from rediscore.streams.groups import GroupState, forget_group, read_groups
from rediscore.streams.inbox import RedisInbox
from rediscore.streams.letters import Correction, DeadLetter, dead_stream
from rediscore.streams.metrics import GroupMetrics
from rediscore.streams.partitions import partition_of, stream_names
from rediscore.streams.policy import Outcome, Reason, RetryPolicy
from rediscore.streams.publisher import StreamPublisher
from rediscore.streams.sources import redrive_stream
from rediscore.streams.subscriber import Subscriber

__all__ = [
    "AuditEntry",
    "CheckResult",
    "CloudEvent",
    "Correction",
    "DeadLetter",
    "DeadLetterBox",
    "GroupMetrics",
    "GroupState",
    "LetterPage",
    "MalformedEntry",
    "NotActive",
    "NotTheSameEvent",
    "Outcome",
    "Postpone",
    "RawEvent",
    "Reason",
    "RedisInbox",
    "RedriveFull",
    "RedriveStep",
    "Reject",
    "ReliableStreams",
    "RetryPolicy",
    "StreamPublisher",
    "Subscriber",
    "dead_stream",
    "decode_entry",
    "encode_entry",
    "forget_group",
    "partition_of",
    "read_groups",
    "redrive_stream",
    "sent_again",
    "stream_names",
]
