"""Templates and assets of pages: all text from data is escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["assets", "templates"]


def templates() -> Environment:
    """Return the environment of the templates; what a template asks for and does not get is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("causaliqa.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Long names of metrics may break after these characters.
    environment.filters["breakable"] = lambda text: Markup("<wbr>").join(re.split(r"(?<=[_:,+/])(?=.)", str(text)))
    return environment


def assets(*names: str) -> Markup:
    """Return styles or scripts of the package, one after the other, to be put into a page as they are."""
    from importlib.resources import files

    from markupsafe import Markup

    return Markup("\n".join((files("causaliqa.report") / "assets" / name).read_text("utf-8") for name in names))
