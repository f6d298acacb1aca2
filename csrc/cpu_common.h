// What every CPU operator's launcher uses.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Dispatch_v2.h>

#include <memory>
#include <new>

namespace vqe_fast {

using torch::headeronly::BFloat16;
using torch::headeronly::Half;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// How a loss is reduced; the numbers are those of vqe_fast/ops/_checks.py.
enum class Reduction : int64_t { none = 0, mean = 1, sum = 2 };

#define VQE_FAST_FLOAT_TYPES \
  ScalarType::Double, ScalarType::Float, ScalarType::BFloat16, ScalarType::Half

// Uninitialised memory that starts at a cache line.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : values_(static_cast<T*>(::operator new(count * sizeof(T), kLine))) {}
  T* get() const { return values_.get(); }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(T* values) const { ::operator delete(values, kLine); }
  };
  std::unique_ptr<T, Free> values_;
};

}  // namespace vqe_fast
