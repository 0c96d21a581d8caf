"""SimpleITK on demand: an extra of huizhen, imported only where a study asks for what it does."""

from __future__ import annotations

from typing import Any

from huizhen.errors import DataError

__all__ = ["simpleitk"]


def simpleitk() -> Any:
    """Return SimpleITK with one thread. Raises `DataError` where it isn't installed."""
    try:
        import SimpleITK
    except ImportError as error:
        raise DataError(
            "bias fields and spacings are harmonised by SimpleITK, which isn't installed",
            remedy="pip install 'huizhen[harmonise]'",
            field="harmonise",
        ) from error
    module: Any = SimpleITK
    module.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    return module
