"""The kinds of model. Each module is one, with one public subclass of ``Model``; its name is the kind's."""

import pkgutil
from importlib import import_module

from predictor.model.base import Model
from predictor.wording import shown


def names() -> list[str]:
    """Return the names of the kinds, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(name: object) -> type[Model]:
    """Return the class of a kind; its module is imported only then.

    Raises:
        ValueError: there is no such kind, or its module does not have one complete subclass of ``Model``.
    """
    if not isinstance(name, str) or name not in names():
        raise ValueError(f"unknown kind of model {shown(str(name))}; this server knows {', '.join(names())}")
    module = import_module(f"{__name__}.{name}")
    found = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Model) and one.__module__ == module.__name__
    ]
    where = f"{__name__.replace('.', '/')}/{name}.py"
    if len(found) != 1:
        listed = ", ".join(one.__name__ for one in found) or "none"
        raise ValueError(f"{where} needs one subclass of Model; it has {listed}")
    if lacking := found[0].__abstractmethods__:
        raise ValueError(f"{where}: {found[0].__name__} needs {', '.join(sorted(lacking))}")
    return found[0]
