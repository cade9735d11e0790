"""The board: orders move forward whatever order the two feeds come in."""

from typing import Any

from pizzeria.live.board import Board, Move


def event(kind: str, order: str = "o1", **data: Any) -> dict[str, Any]:
    return {"type": f"pizzeria.{kind}.v1", "subject": order, "data": data}


PLACED: dict[str, Any] = {
    "items": [{"pizza_id": "margherita", "quantity": 2}],
    "total": "25.98",
    "currency": "EUR",
    "priority": "express",
}


def test_an_order_is_shown_on_its_way() -> None:
    board = Board()
    moves = [
        board.fold(event(kind, **(PLACED if kind == "order.placed" else {})))
        for kind in (
            "order.placed",
            "payment.captured",
            "order.confirmed",
            "kitchen.ticket_started",
            "kitchen.ticket_started",
            "kitchen.order_ready",
            "delivery.started",
            "delivery.completed",
        )
    ]
    assert [(move.before, move.after) for move in moves if move] == [
        (None, "pending"),
        ("pending", "confirmed"),
        ("confirmed", "cooking"),
        ("cooking", "ready"),
        ("ready", "delivering"),
        ("delivering", "delivered"),
    ]
    order = board.orders["o1"]
    assert (order.pizzas, order.total, order.priority) == ("2× margherita", "25.98 EUR", "express")
    assert (board.delivered, board.cancelled) == (1, 0)


def test_a_late_event_moves_nothing_back_but_fills_in_what_was_ordered() -> None:
    board = Board()
    assert isinstance(board.fold(event("kitchen.order_ready")), Move)
    assert board.fold(event("order.placed", **PLACED)) is None
    assert board.orders["o1"].state == "ready"
    assert board.orders["o1"].total == "25.98 EUR"


def test_a_cancellation_has_its_reason() -> None:
    move = Board().fold(event("order.cancelled", reason="out-of-stock"))
    assert move is not None
    assert (move.after, move.reason) == ("cancelled", "out-of-stock")


def test_orders_that_ended_make_room_first() -> None:
    board = Board(limit=2)
    board.fold(event("order.placed", "moving", **PLACED))
    board.fold(event("order.cancelled", "ended"))
    board.fold(event("order.placed", "new", **PLACED))
    assert [*board.orders] == ["moving", "new"]
