"""Campaigns: facts in SQL, and for each a picture of whom it is for, with an end."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Final, NamedTuple

from pizzeria_chassis.database import Database
from pizzeria_chassis.ids import new_id
from pizzeria_chassis.transaction import Transaction
from rediscore.sets import ExpiringSet
from sqlalchemy import Insert, Row, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from analytics_service.projections import Projections
from analytics_service.segments import expression
from analytics_service.tables import campaign_members, campaigns

_PART: Final = 1000


class KeyReused(Exception):  # noqa: N818 - named by what happened
    """The Idempotency-Key belongs to another campaign."""


class Wish(NamedTuple):
    """A campaign that somebody asks for."""

    name: str
    segments: tuple[str, ...]
    expires_at: datetime

    @property
    def fingerprint(self) -> str:
        asked = json.dumps([self.name, self.segments, self.expires_at.isoformat()])
        return hashlib.sha256(asked.encode()).hexdigest()


class Campaign(NamedTuple):
    id: str
    name: str
    segments: tuple[str, ...]
    audience_size: int
    created_at: datetime
    expires_at: datetime


class Campaigns:
    """Raises: DatabaseUnavailable; redis-py's errors, CircuitOpen and NotCountedYet where Redis is asked."""

    def __init__(self, database: Database, projections: Projections) -> None:
        self._database = database
        self._projections = projections
        self._restoring = asyncio.Lock()

    async def of_key(self, wish: Wish, key: str) -> Campaign | None:
        """The campaign that was begun with this key. One statement. Raises: KeyReused."""
        query = select(campaigns).where(campaigns.c.idempotency_key == key)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is not None and row.fingerprint != wish.fingerprint:
            raise KeyReused
        return _campaign(row) if row else None

    async def begin(self, wish: Wish, key: str | None) -> tuple[Campaign, bool]:
        """A campaign for whoever is in any of the segments now; True when one of that key was faster.

        The audience is stored first: without it there is no campaign, and one without a campaign goes by
        itself. One transaction. Raises: KeyReused.
        """
        name, segments, expires_at = wish
        now = self._database.clock.now()
        campaign = Campaign(new_id(), name, tuple(segments), 0, now, expires_at)
        async with self._projections.reading() as live:
            wanted = reduce(or_, (expression(self._projections.segments, live, one) for one in segments))
            await self._projections.segments.store(_audience(campaign), wanted, expires_at - now)
        members = [member async for member in self._set(campaign).members()]
        campaign = campaign._replace(audience_size=len(members))

        async def work(tx: Transaction) -> bool:
            values = {
                **campaign._asdict(),
                "segments": json.dumps(segments),
                "idempotency_key": key,
                "fingerprint": wish.fingerprint,
            }
            statement = _insert_new(tx.connection.dialect.name).values(values)
            if (await tx.connection.execute(statement.returning(campaigns.c.id))).first() is None:
                return False
            for rows in _parts(members):
                of = [{"campaign_id": campaign.id, "customer_id": member} for member in rows]
                await tx.connection.execute(insert(campaign_members), of)
            return True

        if await self._database.transact(work):
            return campaign, False
        earlier = await self.of_key(wish, key or "")
        assert earlier is not None  # noqa: S101 - nothing but the key can be there already
        return earlier, True

    async def find(self, campaign_id: str) -> Campaign | None:
        """One statement."""
        async with self._database.read() as connection:
            row = (
                await connection.execute(select(campaigns).where(campaigns.c.id == campaign_id))
            ).one_or_none()
        return _campaign(row) if row else None

    async def newest(self, limit: int, before: str | None = None) -> Sequence[Campaign]:
        """Newest first, those older than the campaign `before`. One statement."""
        query = select(campaigns).order_by(campaigns.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(campaigns.c.id < before)
        async with self._database.read() as connection:
            return [_campaign(row) for row in await connection.execute(query)]

    async def audience(
        self, campaign: Campaign, limit: int, after: str | None
    ) -> tuple[list[str], str | None]:
        """Whom it is for; nobody once it has ended. One round trip, and what it takes to restore a lost one.

        Raises: ValueError for an `after` that is none.
        """
        async with self._projections.breaker:
            async with self._restoring:  # one at a time: who is put in again comes again to those who page
                if not await self._set(campaign).count():
                    await self._restore(campaign)
            return await self._projections.segments.page(self._set(campaign), limit, after)

    async def _restore(self, campaign: Campaign) -> None:
        """Store the audience again as it was: Redis was wiped, or the layout of its keys is another one."""
        left = campaign.expires_at - self._database.clock.now()
        if left.total_seconds() <= 0 or not campaign.audience_size:
            return
        query = select(campaign_members.c.customer_id).where(campaign_members.c.campaign_id == campaign.id)
        async with self._database.read() as connection:
            members = list((await connection.execute(query)).scalars())
        segments = self._projections.segments
        building = segments[f"restore:{new_id()}"]
        await building.add(*members, ttl=left)
        await segments.store(_audience(campaign), building, left)  # all at once, whoever else restores it
        await building.clear()

    async def forget_ended(self) -> None:
        """Forget who was in the audiences of campaigns that have ended; their sizes stay. One transaction."""

        async def work(tx: Transaction) -> None:
            ended = select(campaigns.c.id).where(campaigns.c.expires_at <= tx.now)
            await tx.connection.execute(
                delete(campaign_members).where(campaign_members.c.campaign_id.in_(ended))
            )

        await self._database.transact(work)

    def _set(self, campaign: Campaign) -> ExpiringSet:
        return self._projections.segments.audience(_audience(campaign))


def _audience(campaign: Campaign) -> str:
    return f"campaign:{campaign.id}"


def _campaign(row: Row[Any]) -> Campaign:
    return Campaign(
        row.id,
        row.name,
        tuple(json.loads(row.segments)),
        row.audience_size,
        row.created_at,
        row.expires_at,
    )


def _insert_new(dialect: str) -> Insert:
    new = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return new(campaigns).on_conflict_do_nothing()


def _parts(members: Sequence[str]) -> Iterable[Sequence[str]]:
    return (members[start : start + _PART] for start in range(0, len(members), _PART))
