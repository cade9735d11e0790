"""``python -m pizzeria_contracts.schemas write|check|release``."""

import sys

from pizzeria_contracts.schemas import broken, release, stale_schemas, unreleased, write_schemas

NEW_VERSION = "Leave that type as it was and add a version: a class with `older` and `upcast`.\n"


def main(arguments: list[str]) -> int:
    match arguments:
        case ["write"]:
            write_schemas()
            return 0
        case ["check"]:
            if stale := stale_schemas():
                sys.stderr.write(f"Out of date: {', '.join(stale)}. Run write and commit.\n")
            if new := unreleased():
                sys.stderr.write(f"Not released: {', '.join(new)}. Run release and commit.\n")
            if sentences := broken():
                sys.stderr.write("\n".join(["This breaks readers:", *sentences, NEW_VERSION]))
            return 1 if stale or new or sentences else 0
        case ["release"]:
            try:
                release()
            except ValueError as error:
                sys.stderr.write(f"This breaks readers:\n{error}\n{NEW_VERSION}")
                return 1
            return 0
        case _:
            sys.stderr.write("Say 'write', 'check' or 'release'.\n")
            return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
