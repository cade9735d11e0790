"""What all event payloads have in common."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

__all__ = ["Payload", "Priority", "Size", "UtcTime"]

Size = Literal["small", "medium", "large"]
Priority = Literal["standard", "express"]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first or last hours of the calendar, in another zone
        raise ValueError("must be a time that UTC can express") from None


UtcTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An aware time, converted to UTC; RFC 3339 on the wire."""


class Payload(BaseModel):
    """The ``data`` of one event type.

    Producers are strict: an unknown field is an error. Consumers are tolerant: ``read`` ignores fields
    that a newer producer added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_type: ClassVar[str]
    older: ClassVar["type[Payload] | None"] = None
    """The version before this one, if there was one that could not be read as this one."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if cls.older is not None and "upcast" not in vars(cls):
            raise TypeError(f"{cls.__name__} follows {cls.older.__name__}; define `upcast`.")

    @classmethod
    def upcast(cls, old: Any) -> Self:
        """Make this version from the one before. Each that names ``older`` defines it; a first one has none.

        Raises:
            LookupError: it is a first version.
        """
        raise LookupError(f"{cls.event_type} is a first version; nothing older can be made into it.")

    @classmethod
    def read(cls, data: Any) -> Self:
        """Return ``data`` as this payload, without the fields that this version does not know.

        Raises:
            pydantic.ValidationError: a known field is missing or wrong.
        """
        return cls.model_validate(data, extra="ignore")
