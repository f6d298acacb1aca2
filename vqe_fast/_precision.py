"""Names of the precisions that models run in."""

from typing import Literal

Precision = Literal["auto", "fp32", "bf16", "fp16"]
