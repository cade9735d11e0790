"""HTTP for the fault switches of the demo; a service outside the demo does not have these routes."""

from typing import Annotated

from fastapi import APIRouter
from pizzeria_contracts.problems import ProblemType
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pizzeria_chassis.faults import HTTP, FaultKind, Faults, UnknownTarget
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.operators import Operators
from pizzeria_chassis.ops import Manager
from pizzeria_chassis.problems import Problem

__all__ = ["faults_router"]


class FaultSwitch(BaseModel):
    """``value``: milliseconds of latency, or the share of requests that fail."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    target: Annotated[str, Field(max_length=100)] = HTTP
    value: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    seconds: Annotated[float, Field(gt=0, le=600)] = 30

    @model_validator(mode="after")
    def _fits(self) -> "FaultSwitch":
        if self.kind == "latency" and not 0 < self.value <= 10_000:
            raise ValueError("latency takes a value above 0 and at most 10000 milliseconds")
        if self.kind == "errors" and not 0 < self.value <= 1:
            raise ValueError("errors takes a share above 0 and at most 1")
        return self


class FaultView(BaseModel):
    kind: FaultKind
    target: str
    value: float
    seconds_left: float
    means: str


class FaultList(BaseModel):
    """``targets``: what can have which fault in this service."""

    items: list[FaultView]
    next: None = None
    targets: dict[FaultKind, list[str]]


def faults_router(faults: Faults, operators: Operators) -> APIRouter:
    router = APIRouter(
        prefix="/ops/faults",
        tags=["operations"],
        responses=problems(_401="Unknown token.", _403="Wrong role."),
    )

    def listed() -> FaultList:
        items = [
            FaultView(
                kind=fault.kind,
                target=fault.target,
                value=fault.value,
                seconds_left=round(left, 1),
                means=str(fault),
            )
            for fault, left in faults.active()
        ]
        return FaultList(items=items, targets={kind: list(names) for kind, names in faults.targets().items()})

    @router.get("")
    async def list_faults(_: Manager) -> FaultList:
        """What is switched on in this process."""
        return listed()

    @router.post("", status_code=201, responses=problems(_404="No such target."))
    async def switch_on(switch: FaultSwitch, who: Manager) -> FaultList:
        """Have a fault for at most ten minutes; it ends by itself."""
        try:
            faults.switch_on(switch.kind, switch.target, value=switch.value, seconds=switch.seconds)
        except UnknownTarget as error:
            raise Problem(ProblemType.NOT_FOUND, "No such target", 404, str(error)) from error
        await operators.note(who.id, "fault", f"{switch.kind} {switch.target}", f"{switch.seconds:g} s")
        return listed()

    @router.delete("")
    async def switch_off(who: Manager) -> FaultList:
        """End all of them."""
        if active := faults.active():
            for fault, _ in active:
                faults.switch_off(fault.kind, fault.target)
            await operators.note(who.id, "faults-off", "all")
        return listed()

    return router
