"""The pictures in the README are the transition tables."""

import re
from pathlib import Path

from kitchen_service.domain.kitchen_order import ORDER_TRANSITIONS
from kitchen_service.domain.ticket import TICKET_TRANSITIONS

README = Path(__file__).parents[2] / "README.md"


def test_the_pictures_show_the_tables() -> None:
    pictures = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    drawn = [set(re.findall(r"^\s+(\S+) --> (\S+): (\S+)$", picture, re.MULTILINE)) for picture in pictures]
    tables = [
        {(str(before), str(after), str(step)) for (before, step), after in table.items()}
        for table in (ORDER_TRANSITIONS, TICKET_TRANSITIONS)
    ]
    assert drawn == tables
