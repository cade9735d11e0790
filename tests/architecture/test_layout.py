"""The house stays small and readable: rules on files that a tool can check."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("libs", "services", "tools", "tests", "bench", "deploy")
    for path in (ROOT / folder).rglob("*.py")
    if not {".venv", "build", "dist"} & set(path.parts)
)
SHIPPED = [path for path in SOURCES if "src" in path.parts]
LUA = sorted(ROOT.glob("libs/*/src/**/*.lua")) + sorted(ROOT.glob("services/*/src/**/*.lua"))
FULL_ROOM = 400

# Walks the whole keyspace or empties it: `keys` only with an argument, for dicts have that method too.
WHOLE_KEYSPACE = {"flushall", "flushdb", "scan", "scan_iter", "keys"}
# Servers for tests and demos, which lose everything on purpose.
LOSE_ON_PURPOSE = {
    ROOT / "libs/rediscore/src/rediscore" / name for name in ("embedded.py", "testing/server.py")
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]


def test_there_is_something_to_check() -> None:
    assert len(SHIPPED) > 50
    assert len(LUA) > 5


def test_a_file_is_one_room() -> None:
    lines = {name(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES + LUA}
    assert {path: count for path, count in lines.items() if count > FULL_ROOM} == {}


def test_nobody_walks_or_empties_the_keyspace() -> None:
    found = [
        f"{name(path)}:{call.lineno} {call.func.attr}"
        for path in SHIPPED
        if path not in LOSE_ON_PURPOSE
        for call in calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in WHOLE_KEYSPACE
        and (call.func.attr != "keys" or call.args)
    ]
    found += [
        f"{name(path)} {match}"
        for path in LUA
        for match in re.findall(
            r"""call\(\s*['"](KEYS|SCAN|FLUSH\w+)""", path.read_text("utf-8"), re.IGNORECASE
        )
    ]
    assert found == []


def test_services_and_libraries_log_and_do_not_print() -> None:
    found = [
        f"{name(path)}:{call.lineno}"
        for path in SHIPPED
        if "tools" not in path.parts and path.name != "__main__.py"
        for call in calls(path)
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]
    assert found == []


def test_a_script_says_its_keys_arguments_and_reply() -> None:
    included = {name for path in LUA for name in re.findall(r"@include /?(\S+)", path.read_text("utf-8"))}
    silent = []
    for path in LUA:
        lines = path.read_text("utf-8").splitlines()
        length = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
        header, code = "\n".join(lines[:length]), "\n".join(lines[length:])
        wanted = (
            {"KEYS"}
            | ({"ARGV"} if "ARGV[" in code else set())
            | (set() if path.name in included else {"Reply"})
        )
        silent += [f"{name(path)}: {word}" for word in wanted if word not in header]
    assert silent == []


def test_every_decision_record_is_dated_and_has_its_own_number() -> None:
    records = sorted((ROOT / "docs/adr").glob("*.md"))
    numbers = [record.name[:4] for record in records]
    assert len(set(numbers)) == len(numbers)
    undated = [
        r.name for r in records if not re.search(r"^\d{4}-\d\d-\d\d$", r.read_text("utf-8"), re.MULTILINE)
    ]
    assert undated == []
