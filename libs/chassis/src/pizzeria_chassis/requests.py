"""Base of the bodies that services take."""

from pydantic import BaseModel, ConfigDict

__all__ = ["RequestBody"]


class RequestBody(BaseModel):
    """A request body: immutable, and unknown fields are refused so that a typo is not taken for a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")
