"""Who calls as a guest."""

from typing import Annotated

from fastapi import Depends
from pizzeria_chassis.auth import Principal, require

Guest = Annotated[Principal, Depends(require("customer"))]
