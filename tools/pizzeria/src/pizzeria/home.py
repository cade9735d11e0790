"""Where a run keeps its files: the folder `.pizzeria` in the repository's root."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside one home folder; makes nothing by itself."""

    path: Path

    @classmethod
    def find(cls) -> Self:
        """`PIZZERIA_HOME`, else `.pizzeria` beside the nearest `requirements.lock` upwards, else here."""
        if chosen := os.environ.get("PIZZERIA_HOME"):
            return cls(Path(chosen).absolute())
        here = Path.cwd()
        root = next(
            (folder for folder in (here, *here.parents) if (folder / "requirements.lock").exists()), here
        )
        return cls(root / ".pizzeria")

    @property
    def state_file(self) -> Path:
        """What others read: addresses, process ids, tokens. There exactly while the pizzeria runs."""
        return self.path / "state.json"

    @property
    def record_file(self) -> Path:
        """What the next run needs to end processes that this one could not end."""
        return self.path / "run.json"

    @property
    def lock_file(self) -> Path:
        """Held by the running supervisor."""
        return self.path / "lock"

    @property
    def data(self) -> Path:
        """Databases and the data folders of the embedded servers."""
        return self.path / "data"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.path / "logs"

    def log(self, name: str) -> Path:
        """The log of one process."""
        return self.logs / f"{name}.log"
