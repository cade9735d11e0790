"""``python -m pizzeria_contracts.schemas write|check``."""

import sys

from pizzeria_contracts.schemas import stale_schemas, write_schemas


def main(arguments: list[str]) -> int:
    match arguments:
        case ["write"]:
            write_schemas()
            return 0
        case ["check"]:
            stale = stale_schemas()
            if stale:
                sys.stderr.write(f"Out of date: {', '.join(stale)}. Run write and commit.\n")
            return 1 if stale else 0
        case _:
            sys.stderr.write("Say 'write' or 'check'.\n")
            return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
