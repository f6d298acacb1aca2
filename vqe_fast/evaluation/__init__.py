"""Measures what models gain: the papers' tables and curves for any model and any clips."""

from vqe_fast.evaluation.evaluation import Evaluation
from vqe_fast.evaluation.networks import Network
from vqe_fast.evaluation.protocol import Protocol, find_protocol
from vqe_fast.evaluation.restorer import Restorer
from vqe_fast.evaluation.row import Row
from vqe_fast.evaluation.run import evaluate

__all__ = ["Evaluation", "Network", "Protocol", "Restorer", "Row", "evaluate", "find_protocol"]
