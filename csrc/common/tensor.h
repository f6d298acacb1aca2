// What every operator's launcher uses.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Dispatch_v2.h>

namespace vqe_fast {

using torch::headeronly::BFloat16;
using torch::headeronly::Half;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// How a loss is reduced; the numbers are those of vqe_fast/ops/_checks.py.
enum class Reduction : int64_t { none = 0, mean = 1, sum = 2 };

#define VQE_FAST_FLOAT_TYPES \
  ScalarType::Double, ScalarType::Float, ScalarType::BFloat16, ScalarType::Half

}  // namespace vqe_fast
