"""The models, by name: :func:`create_model` and :func:`list_models`."""

from vqe_fast.models import carcnn as _carcnn  # noqa: F401  registers its models
from vqe_fast.models import galteri as _galteri  # noqa: F401
from vqe_fast.models import multiscale as _multiscale  # noqa: F401
from vqe_fast.models import pequenet as _pequenet  # noqa: F401
from vqe_fast.models.registry import ModelSpec, create_model, list_models, register_model, spec_of

__all__ = ["ModelSpec", "create_model", "list_models", "register_model", "spec_of"]
