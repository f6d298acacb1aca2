"""Model registry and networks: :func:`create_model` and :func:`list_models`."""

from vqe_fast.models import astf as _astf  # noqa: F401  registers its model
from vqe_fast.models import carcnn as _carcnn  # noqa: F401  registers its models
from vqe_fast.models import dualres as _dualres  # noqa: F401
from vqe_fast.models import dualres_recurrent as _dualres_recurrent  # noqa: F401
from vqe_fast.models import dualres_temporal as _dualres_temporal  # noqa: F401
from vqe_fast.models import galteri as _galteri  # noqa: F401
from vqe_fast.models import identity as _identity  # noqa: F401
from vqe_fast.models import multiscale as _multiscale  # noqa: F401
from vqe_fast.models import quality_ensemble as _quality_ensemble  # noqa: F401
from vqe_fast.models.basicvsr import BasicVSR
from vqe_fast.models.cost import Cost, cost
from vqe_fast.models.pequenet import PeQuENet
from vqe_fast.models.published import load_published
from vqe_fast.models.registry import ModelSpec, create_model, list_models, register_model, spec_of
from vqe_fast.models.spynet import SPyNet
from vqe_fast.models.warp import flow_warp

__all__ = [
    "BasicVSR",
    "Cost",
    "ModelSpec",
    "PeQuENet",
    "SPyNet",
    "cost",
    "create_model",
    "flow_warp",
    "list_models",
    "load_published",
    "register_model",
    "spec_of",
]
