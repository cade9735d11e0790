"""Names of keys: one prefix per owner, a layout version, and a hash tag where keys must share a slot."""

from dataclasses import dataclass


def _checked(part: str, what: str) -> str:
    if not part or any(c in "{}" or c.isspace() for c in part):
        raise ValueError(f"{what} must be a word without braces and blanks, not {part!r}.")
    return part


@dataclass(frozen=True, slots=True)
class KeySpace:
    """All keys of one owner.

    Raise `version` when the layout of the values changes: old and new code then never read each
    other's keys, and the old ones run out by their TTL.
    """

    prefix: str
    version: int = 1

    def __post_init__(self) -> None:
        _checked(self.prefix, "The prefix")

    def key(self, *parts: str, tag: str | None = None) -> str:
        """Name of one key.

        Args:
            parts: what the key is, from the general to the particular.
            tag: keys with the same tag live in one cluster slot, so one script may touch them all.

        >>> KeySpace("kitchen").key("queue", "ready", tag="kitchen:dispatch")
        'kitchen:v1:{kitchen:dispatch}:queue:ready'
        """
        name = [self.prefix, f"v{self.version}"]
        if tag is not None:
            name.append("{" + _checked(tag, "A hash tag") + "}")
        name += [_checked(part, "A part of a key") for part in parts]
        return ":".join(name)
