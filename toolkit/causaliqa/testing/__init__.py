"""The contract kit: test in one line that a plugin keeps what its records claim.

Every check takes the name of an installed thing, with its options, or a record that is not installed yet::

    from causaliqa.testing import check_metric

    def test_contract():
        check_metric("mine")

Only a name says where its plugin lies, so only then "no work at import" is tested.
"""

import lazy_loader as _lazy_loader

__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
