"""The contract kit: test in one line that a plugin keeps what its records claim.

Every check takes the name of an installed thing, with its options, or a record that is not installed yet::

    from causaliqa.testing import check_metric

    def test_contract():
        check_metric("mine")

Only a name says where its plugin lies, so only then "no work at import" is tested.
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
