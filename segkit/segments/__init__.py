"""Who is in each segment: profiles, silhouettes, and which runs are shown in detail."""

from __future__ import annotations

__all__ = ["Portrait", "describe", "profile", "shares"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from segkit.segments import profiles

        return getattr(profiles, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
