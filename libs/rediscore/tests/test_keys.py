"""Key names."""

import pytest
from rediscore.keys import KeySpace

pytestmark = pytest.mark.proves("R21")


def test_name_has_prefix_version_tag_and_parts() -> None:
    keys = KeySpace("kitchen")

    assert keys.key("queue", "ready", tag="kitchen:dispatch") == "kitchen:v1:{kitchen:dispatch}:queue:ready"
    assert keys.key("load") == "kitchen:v1:load"
    assert KeySpace("kitchen", version=2).key("load") == "kitchen:v2:load"


@pytest.mark.parametrize("part", ["", "a{b}", "a b", "a\n"])
def test_parts_that_would_break_a_name_are_refused(part: str) -> None:
    with pytest.raises(ValueError, match="without braces and blanks"):
        KeySpace("kitchen").key("queue", part)
    with pytest.raises(ValueError, match="without braces and blanks"):
        KeySpace(part)
    with pytest.raises(ValueError, match="without braces and blanks"):
        KeySpace("kitchen").key("queue", tag=part)
