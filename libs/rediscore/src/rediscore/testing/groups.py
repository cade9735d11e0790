"""What a group of tests shares ends with the group, not with the session: an idle system costs time."""

import pytest

_LAST: pytest.StashKey[bool] = pytest.StashKey()


def group_of(item: pytest.Item | None) -> str | None:
    """The name of its `xdist_group`."""
    marker = item.get_closest_marker("xdist_group") if item is not None else None
    return str(marker.args[0]) if marker is not None and marker.args else None


def note_last_of_group(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Called by the plugin before the fixtures of `item` end."""
    item.stash[_LAST] = group_of(item) != group_of(nextitem)


def is_last_of_group(item: pytest.Item) -> bool:
    """In the end of a fixture: whether the next test here is of another group."""
    return item.stash.get(_LAST, True)
