"""Money: exact, half-up, strings on the wire."""

from decimal import Decimal

import pytest
from pizzeria_contracts.money import Money, round_cents
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("10.392", "10.39"), ("10.395", "10.40"), ("10.385", "10.39"), ("0.005", "0.01"), ("7", "7.00")],
)
def test_half_a_cent_is_rounded_up(amount: str, rounded: str) -> None:
    assert str(round_cents(Decimal(amount))) == rounded


def test_json_is_a_string_with_two_decimals_and_back() -> None:
    money = Money.of("25.9")
    assert money.model_dump_json() == '{"amount":"25.90","currency":"EUR"}'
    assert Money.model_validate_json(money.model_dump_json()) == money


def test_sums_and_multiples_stay_exact() -> None:
    total = Money.zero()
    for _ in range(1000):
        total += Money.of("0.10")
    assert total == Money.of("100")
    assert Money.of("12.99").times(Decimal("0.8")) == Money.of("10.39")


@pytest.mark.parametrize("amount", ['"-1.00"', "12.99", "12", '"1.999"', '"NaN"', '"twelve"'])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate_json(f'{{"amount": {amount}}}')


def test_other_currencies_are_refused() -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": "1.00", "currency": "USD"})
