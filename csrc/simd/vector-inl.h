// The widest vectors of each ISA level.
#if defined(VQE_FAST_SIMD_VECTOR_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_SIMD_VECTOR_INL_H_
#undef VQE_FAST_SIMD_VECTOR_INL_H_
#else
#define VQE_FAST_SIMD_VECTOR_INL_H_
#endif

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simd/blocks-inl.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

#if VQE_FAST_LEVEL >= 2
constexpr int kVectorBytes = 64;
#elif VQE_FAST_LEVEL == 1
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <typename C>
struct VectorOf {
  typedef C type __attribute__((vector_size(kVectorBytes)));
  static constexpr int lanes = kVectorBytes / static_cast<int>(sizeof(C));
};

template <typename C>
using Vector = typename VectorOf<C>::type;

template <typename C>
inline Vector<C> load_vector(const C* from) {
  Vector<C> values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

template <typename C>
inline void store_vector(Vector<C> values, C* to) {
  std::memcpy(to, &values, sizeof values);
}

// A vector of values as they lie in memory, in the type they are computed in.
template <typename T>
inline Vector<Computed<T>> widen(const T* from) {
  static_assert(std::is_same_v<T, Computed<T>>);
  return load_vector(from);
}

template <>
inline Vector<float> widen(const BFloat16* from) {
  typedef uint16_t Halves __attribute__((vector_size(kVectorBytes / 2)));
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  return reinterpret_cast<Vector<float>>(__builtin_convertvector(halves, Vector<uint32_t>) << 16);
}

template <>
inline Vector<float> widen(const Half* from) {
#if VQE_FAST_LEVEL >= 2
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#elif VQE_FAST_LEVEL == 1
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#else
  Vector<float> values;
  for (int i = 0; i < VectorOf<float>::lanes; ++i) {
    values[i] = static_cast<float>(from[i]);
  }
  return values;
#endif
}

// The vectors that start at each element of a row, for a loop that goes through it a vector at a
// time. Where the distance to the start is known at compile time and vectors are as wide as a
// cache line, they are put together from two loaded ones: a load that crosses lines costs more.
template <typename C>
class SlidingVector {
 public:
  explicit SlidingVector(const C* row) : row_(row), next_(load_vector(row)) { advance(); }

  void advance() {
    current_ = next_;
    next_ = load_vector(row_ + VectorOf<C>::lanes);
    row_ += VectorOf<C>::lanes;
  }

  template <int kBy>
  Vector<C> at(std::integral_constant<int, kBy>) const {
#if VQE_FAST_LEVEL >= 2
    if constexpr (kBy < VectorOf<C>::lanes) {
      const auto next = reinterpret_cast<__m512i>(next_);
      const auto current = reinterpret_cast<__m512i>(current_);
      if constexpr (std::is_same_v<C, float>) {
        return reinterpret_cast<Vector<C>>(_mm512_alignr_epi32(next, current, kBy));
      } else {
        return reinterpret_cast<Vector<C>>(_mm512_alignr_epi64(next, current, kBy));
      }
    }
#endif
    return at(kBy);
  }

  Vector<C> at(int64_t by) const { return load_vector(row_ - VectorOf<C>::lanes + by); }

 private:
  const C* row_;
  Vector<C> current_, next_;
};

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
