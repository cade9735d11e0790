"""What the documentation says is run: every program of every page, against a real server."""

import asyncio
import re
import sys
from pathlib import Path

import pytest
from rediscore.settings import RedisSettings

HOME = Path(__file__).parents[1]
INDEX = [HOME / "README.md", HOME / "docs" / "README.md"]
PAGES = sorted({*INDEX, *HOME.glob("docs/*.md")})
PATTERNS = [page for page in PAGES if page not in INDEX]
# What a page about a pattern tells, and how its heading may say so.
SECTIONS = {
    "what it guarantees": r"guarantee",
    "what can still go wrong": r"go(es)? wrong",
    "Redis commands and round trips": r"round trip",
    "memory per entry": r"memory",
    "when not to use it": r"when not",
}
AT_ONCE = 4
LONGEST_SECONDS = 60


def name(page: Path) -> str:
    return str(page.relative_to(HOME))


def programs(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.proves("R1", "R16", "R20", "R21")
async def test_every_program_does_what_it_asserts(redis_url: str) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def run(program: str) -> str:
        async with free, asyncio.timeout(LONGEST_SECONDS):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-W", "default", "-c", program,
                env={"REDIS_URL": redis_url, "REDIS_SOCKET_TIMEOUT": "20", "REDIS_POOL_TIMEOUT": "20"},
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                _, said = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        return said.decode() or ("" if process.returncode == 0 else f"ended with {process.returncode}")

    where = [(name(page), program) for page in PAGES for program in programs(page)]
    told = await asyncio.gather(*(run(program) for _, program in where))

    troubles = [f"{page}:\n{said}" for (page, _), said in zip(where, told, strict=True) if said]
    assert not troubles, "\n".join(troubles)


@pytest.mark.parametrize("page", PATTERNS, ids=name)
def test_a_page_is_complete(page: Path) -> None:
    headings = re.findall(r"^##+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    missing = [
        section
        for section, words in SECTIONS.items()
        if not any(re.search(words, heading, re.IGNORECASE) for heading in headings)
    ]

    assert missing == []
    assert programs(page), "the page has no program"
    for index in INDEX:
        assert f"{page.name})" in index.read_text(encoding="utf-8"), f"{name(index)} does not lead here"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        outside = HOME not in [target, *target.parents]
        if "://" in link or (outside and not (HOME.parent / "contracts").is_dir()):
            continue  # the package may lie somewhere alone
        if not target.exists() or (heading and heading not in anchors(target)):
            broken.append(link)

    assert broken == []


def anchors(page: Path) -> set[str]:
    """As GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.proves("R1")
def test_every_variable_is_listed() -> None:
    """In the table of the page about connections."""
    rows = re.findall(
        r"^\| (`REDIS_.*?) \|", (HOME / "docs/connections.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    listed = re.findall(r"`(REDIS_\w+)`", " ".join(rows))

    assert sorted(listed) == sorted(f"REDIS_{field.upper()}" for field in RedisSettings.model_fields)
