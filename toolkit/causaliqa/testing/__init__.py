"""The contract kit: test in one line that a plugin fulfils the contract of its specs.

Every check takes the name of an installed metric, backbone etc. with its options, or a spec that is not installed::

    from causaliqa.testing import check_metric

    def test_contract():
        check_metric("mine")

The clause "import" is tested for names only, because a spec alone does not identify its plugin.
"""

import lazy_loader as _lazy_loader

__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
