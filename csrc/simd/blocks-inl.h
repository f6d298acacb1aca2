// Fixed-size blocks of values in the type they are computed in: float64 for float64, float32 for
// the rest. The number of values in a block does not depend on the level, so that sums come out in
// the same order everywhere.
#if defined(VQE_FAST_SIMD_BLOCKS_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_SIMD_BLOCKS_INL_H_
#undef VQE_FAST_SIMD_BLOCKS_INL_H_
#else
#define VQE_FAST_SIMD_BLOCKS_INL_H_
#endif

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

using torch::headeronly::BFloat16;
using torch::headeronly::Half;

constexpr int kBlock = 64;

template <typename T>
using Computed = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <typename T>
inline void load_block(const T* from, Computed<T>* to) {
  static_assert(std::is_same_v<T, Computed<T>>);
  std::memcpy(to, from, kBlock * sizeof(T));
}

template <typename T>
inline void store_block(const Computed<T>* from, T* to) {
  static_assert(std::is_same_v<T, Computed<T>>);
  std::memcpy(to, from, kBlock * sizeof(T));
}

template <>
inline void load_block(const BFloat16* from, float* to) {
  for (int i = 0; i < kBlock; ++i) {
    const uint32_t bits = static_cast<uint32_t>(from[i].x) << 16;
    std::memcpy(to + i, &bits, sizeof bits);
  }
}

template <>
inline void store_block(const float* from, BFloat16* to) {
  for (int i = 0; i < kBlock; ++i) {
    uint32_t bits;
    std::memcpy(&bits, from + i, sizeof bits);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    to[i].x = static_cast<uint16_t>(is_nan ? 0x7fc0u : rounded);
  }
}

template <>
inline void load_block(const Half* from, float* to) {
#if VQE_FAST_LEVEL >= 2
  for (int i = 0; i < kBlock; i += 16) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    _mm512_storeu_ps(to + i, _mm512_cvtph_ps(halves));
  }
#elif VQE_FAST_LEVEL == 1
  for (int i = 0; i < kBlock; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(halves));
  }
#else
  for (int i = 0; i < kBlock; ++i) {
    to[i] = static_cast<float>(from[i]);
  }
#endif
}

template <>
inline void store_block(const float* from, Half* to) {
#if VQE_FAST_LEVEL >= 2
  for (int i = 0; i < kBlock; i += 16) {
    const __m256i halves = _mm512_cvtps_ph(_mm512_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), halves);
  }
#elif VQE_FAST_LEVEL == 1
  for (int i = 0; i < kBlock; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), halves);
  }
#else
  for (int i = 0; i < kBlock; ++i) {
    to[i] = static_cast<Half>(from[i]);
  }
#endif
}

// At most a block of values; the places beyond count become zero.
template <typename T>
inline void load(const T* from, int64_t count, Computed<T>* to) {
  if (count >= kBlock) {
    load_block(from, to);
    return;
  }
  T padded[kBlock] = {};
  std::memcpy(static_cast<void*>(padded), from, count * sizeof(T));
  load_block(padded, to);
}

template <typename T>
inline void store(const Computed<T>* from, int64_t count, T* to) {
  if (count >= kBlock) {
    store_block(from, to);
    return;
  }
  T padded[kBlock];
  store_block(from, padded);
  std::memcpy(static_cast<void*>(to), padded, count * sizeof(T));
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
