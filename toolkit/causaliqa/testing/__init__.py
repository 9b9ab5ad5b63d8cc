"""The contract kit: test in one line that a plugin fulfils the contract of its specs.

Every check takes the name of an installed metric, backbone etc. with its options, or a spec that is not installed::

    from causaliqa.testing import check_metric

    def test_contract():
        check_metric("mine")

The clause "import" is tested for names only, because a spec alone does not identify its plugin.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causaliqa.testing._backbone import check_backbone
    from causaliqa.testing._common import ContractError
    from causaliqa.testing._degradation import check_degradation
    from causaliqa.testing._metric import check_metric
    from causaliqa.testing._restorer import check_restorer
    from causaliqa.testing._sampler import check_sampler

__all__ = [
    "ContractError",
    "check_backbone",
    "check_degradation",
    "check_metric",
    "check_restorer",
    "check_sampler",
]


def __getattr__(name: str) -> Any:
    """Import a check on first use: the scaffold beside it must not load torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "_common" if name == "ContractError" else name.removeprefix("check")
    return getattr(import_module(f"{__name__}.{module}"), name)
