from ._backbone import check_backbone as check_backbone
from ._common import ContractError as ContractError
from ._degradation import check_degradation as check_degradation
from ._metric import check_metric as check_metric
from ._restorer import check_restorer as check_restorer
from ._sampler import check_sampler as check_sampler
