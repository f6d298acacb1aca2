// Transposes squares of lanes by lanes values.
#if defined(VQE_FAST_SIMD_TRANSPOSE_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_SIMD_TRANSPOSE_INL_H_
#undef VQE_FAST_SIMD_TRANSPOSE_INL_H_
#else
#define VQE_FAST_SIMD_TRANSPOSE_INL_H_
#endif

#include <cstdint>
#include <type_traits>
#include <utility>

#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// The elements of a and b, one after the other, that the indices name.
template <typename V, int... kIndex>
inline V shuffle(V a, V b, std::integer_sequence<int, kIndex...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, kIndex...);
#else
  using Index = std::conditional_t<sizeof(a[0]) == 4, int32_t, int64_t>;
  typedef Index Mask __attribute__((vector_size(sizeof(V))));
  return __builtin_shuffle(a, b, Mask{kIndex...});
#endif
}

// a becomes the first half of a0 b0 a1 b1 ..., b the second.
template <typename V, int... kLane>
inline void interleave(V& a, V& b, std::integer_sequence<int, kLane...>) {
  constexpr int kLanes = sizeof...(kLane);
  const V first = a, second = b;
  a = shuffle(first, second, std::integer_sequence<int, (kLane / 2 + kLane % 2 * kLanes)...>{});
  b = shuffle(first, second,
              std::integer_sequence<int, (kLane / 2 + kLanes / 2 + kLane % 2 * kLanes)...>{});
}

// rows[i][k] and rows[k][i] change places.
template <typename V, int kLanes = sizeof(V) / sizeof(std::declval<V>()[0])>
inline void transpose(V (&rows)[kLanes]) {
  // Interleaving the halves, log2(lanes) times, brings all of them to their places.
#pragma GCC unroll 8
  for (int done = 1; done < kLanes; done *= 2) {
    V next[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = rows[i];
      next[2 * i + 1] = rows[i + kLanes / 2];
      interleave(next[2 * i], next[2 * i + 1], std::make_integer_sequence<int, kLanes>{});
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      rows[i] = next[i];
    }
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
