// Powers of two of a vector.
#if defined(VQE_FAST_SIMD_EXP2_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_SIMD_EXP2_INL_H_
#undef VQE_FAST_SIMD_EXP2_INL_H_
#else
#define VQE_FAST_SIMD_EXP2_INL_H_
#endif

#include <cstdint>
#include <iterator>
#include <type_traits>

#include "simd/isa_level.h"
#include "simd/vector-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// 2^x for x <= 0, and a little above; 0 below the normal numbers. With x = n + f, |f| <= 1/2, it is
// 2^n times the Taylor polynomial of 2^f of degree kDegree; its relative error is below 3e-6 for
// degree 5, 6e-9 for 7, 5e-18 for 13.
template <int kDegree, typename C>
inline Vector<C> exp2(Vector<C> x) {
  constexpr double kCoefficients[] = {
      1.0,
      0.69314718055994530942,
      0.24022650695910071233,
      0.055504108664821579953,
      0.009618129107628477162,
      0.0013333558146428443423,
      0.00015403530393381609954,
      0.00001525273380405984028,
      1.3215486790144309488e-6,
      1.0178086009239699727e-7,
      7.0549116208011233299e-9,
      4.4455382718708114976e-10,
      2.5678435993488205142e-11,
      1.3691488853904128881e-12,
  };
  static_assert(kDegree < std::size(kCoefficients));
  using Bits = std::conditional_t<sizeof(C) == 4, int32_t, int64_t>;
  constexpr int kMantissa = sizeof(C) == 4 ? 23 : 52;
  constexpr Bits kBias = sizeof(C) == 4 ? 127 : 1023;
  // Added to a number it leaves the nearest integer in the lowest bits.
  constexpr C kRounder = static_cast<C>(3) * (Bits{1} << (kMantissa - 1));
  const Vector<C> rounded = x + kRounder;
  const Vector<C> fraction = x - (rounded - kRounder);
  Vector<C> power = Vector<C>{} + static_cast<C>(kCoefficients[kDegree]);
#pragma GCC unroll 16
  for (int i = kDegree - 1; i >= 0; --i) {
    power = power * fraction + static_cast<C>(kCoefficients[i]);
  }
  const auto exponent =
      (reinterpret_cast<Vector<Bits>>(rounded) << kMantissa) + (kBias << kMantissa);
  power *= reinterpret_cast<Vector<C>>(exponent);
  return x < static_cast<C>(1 - kBias) ? Vector<C>{} : power;
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
