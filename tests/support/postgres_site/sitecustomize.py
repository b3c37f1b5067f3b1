"""For processes that tests start while every store lies on PostgreSQL: their homes' stores do, too.

Python imports this at its start because ``make test-postgres`` has it on ``PYTHONPATH``. Nothing else may be imported
here and now, since some tests look at what a command imports: the change is made once the program imports homes.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != "mutuals.identity.home":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        configured = module.Home.store_url

        def store_url(home: Any, config: Any) -> str:
            module.Home.store_url = configured
            from support import postgres_homes

            postgres_homes.move_in()
            return str(home.store_url(config))

        store_url.configured = configured  # type: ignore[attr-defined]  # for who moves in before it is called
        module.Home.store_url = store_url  # type: ignore[attr-defined]  # a module known only by name


sys.meta_path.insert(0, _Finder())
