// Charbonnier kernels over a flat range.
#if defined(VQE_FAST_CHARBONNIER_CHARBONNIER_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_CHARBONNIER_CHARBONNIER_INL_H_
#undef VQE_FAST_CHARBONNIER_CHARBONNIER_INL_H_
#else
#define VQE_FAST_CHARBONNIER_CHARBONNIER_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "simd/blocks-inl.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

template <typename C>
inline void charbonnier_values(const C* input, const C* target, C squared_eps, C* values) {
  for (int i = 0; i < kBlock; ++i) {
    const C difference = input[i] - target[i];
    values[i] = std::sqrt(difference * difference + squared_eps);
  }
}

// d rho / d input, times the gradients that values holds.
template <typename C>
inline void charbonnier_slopes(const C* input, const C* target, C squared_eps, C* values) {
  for (int i = 0; i < kBlock; ++i) {
    const C difference = input[i] - target[i];
    values[i] *= difference / std::sqrt(difference * difference + squared_eps);
  }
}

// Sum of rho over count values; and if it is wanted the gradient of each, grad * d rho / d input.
template <bool kWanted, typename T>
inline void charbonnier_reduce(const T* input, const T* target, double grad, int64_t count,
                               double eps, double* sum, T* grad_input) {
  using C = Computed<T>;
  const C squared_eps = static_cast<C>(eps * eps);
  double sums[kBlock] = {};
  C x[kBlock], y[kBlock], values[kBlock], slopes[kBlock];
  for (int64_t i = 0; i < count; i += kBlock) {
    load(input + i, count - i, x);
    load(target + i, count - i, y);
    charbonnier_values(x, y, squared_eps, values);
    if constexpr (kWanted) {
      for (int lane = 0; lane < kBlock; ++lane) {
        slopes[lane] = static_cast<C>(grad) * ((x[lane] - y[lane]) / values[lane]);
      }
      store(slopes, count - i, grad_input + i);
    }
    for (int64_t lane = count - i; lane < kBlock; ++lane) {
      values[lane] = 0;
    }
    for (int lane = 0; lane < kBlock; ++lane) {
      sums[lane] += values[lane];
    }
  }
  double total = 0;
  for (int lane = 0; lane < kBlock; ++lane) {
    total += sums[lane];
  }
  *sum = total;
}

template <typename T>
void charbonnier_sum(const T* input, const T* target, int64_t count, double eps, double* sum) {
  charbonnier_reduce<false, T>(input, target, 0, count, eps, sum, nullptr);
}

template <typename T>
void charbonnier_sum_and_gradient(const T* input, const T* target, double grad, int64_t count,
                                  double eps, double* sum, T* grad_input) {
  charbonnier_reduce<true>(input, target, grad, count, eps, sum, grad_input);
}

// rho of each of count values.
template <typename T>
void charbonnier_map(const T* input, const T* target, int64_t count, double eps, T* output) {
  using C = Computed<T>;
  const C squared_eps = static_cast<C>(eps * eps);
  C x[kBlock], y[kBlock], values[kBlock];
  for (int64_t i = 0; i < count; i += kBlock) {
    load(input + i, count - i, x);
    load(target + i, count - i, y);
    charbonnier_values(x, y, squared_eps, values);
    store(values, count - i, output + i);
  }
}

// Gradient of the input: grad_output has a value for each element, or is null and grad is the
// gradient of them all.
template <typename T>
void charbonnier_gradient(const T* grad_output, double grad, const T* input, const T* target,
                          int64_t count, double eps, T* grad_input) {
  using C = Computed<T>;
  const C squared_eps = static_cast<C>(eps * eps);
  C x[kBlock], y[kBlock], values[kBlock];
  for (int64_t i = 0; i < count; i += kBlock) {
    load(input + i, count - i, x);
    load(target + i, count - i, y);
    if (grad_output != nullptr) {
      load(grad_output + i, count - i, values);
    } else {
      std::fill_n(values, kBlock, static_cast<C>(grad));
    }
    charbonnier_slopes(x, y, squared_eps, values);
    store(values, count - i, grad_input + i);
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
