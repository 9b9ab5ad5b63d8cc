"""The contract kit: test in one line that a plugin fulfils the contract of its specs.

Every check takes the name of an installed metric, backbone etc. with its options, or a spec that is not installed::

    from causaliqa.testing import check_metric

    def test_contract():
        check_metric("mine")

The clause "import" is tested for names only, because a spec alone does not identify its plugin.
"""

from __future__ import annotations

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
