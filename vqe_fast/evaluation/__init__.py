"""Evaluation: gains of models over real encoders, in the papers' tables and curves."""

from vqe_fast.evaluation.evaluator import evaluate
from vqe_fast.evaluation.files import write_results
from vqe_fast.evaluation.model_restorer import Network
from vqe_fast.evaluation.protocol import Protocol, find_protocol
from vqe_fast.evaluation.report import to_markdown
from vqe_fast.evaluation.restorer import Restorer
from vqe_fast.evaluation.result import Evaluation
from vqe_fast.evaluation.row import Row

__all__ = [
    "Evaluation",
    "Network",
    "Protocol",
    "Restorer",
    "Row",
    "evaluate",
    "find_protocol",
    "to_markdown",
    "write_results",
]
