// SSIM and its slopes from the moments of one window, with the formulas of ssim/ssim-inl.h.
//
// Includes no CUDA header: the tests run it on the host.
#pragma once

#include "ssim/ssim.h"

namespace vqe_fast {

// The larger of a value and 0; NaN stays NaN.
template <typename C>
__device__ C ssim_positive(C value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  if constexpr (sizeof(C) == 4) {
    asm("max.NaN.f32 %0, %0, 0f00000000;" : "+f"(value));
    return value;
  }
#endif
  return value < 0 ? C(0) : value;
}

// To one unit in the last place; numbers below the normal ones count as 0 in float32.
template <typename C>
__device__ C ssim_reciprocal(C value) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(C) == 4) {
    asm("rcp.approx.ftz.f32 %0, %0;" : "+f"(value));
    return value;
  }
#endif
  return 1 / value;
}

template <typename C>
__device__ C ssim_divide(C numerator, C denominator, C inverse) {
  const C quotient = numerator * inverse;
  return quotient + (numerator - quotient * denominator) * inverse;
}

template <typename C>
struct SsimConstants {
  C luminance;  // 1, or 0 to leave l out of SSIM
  C twice_c1, twice_c2;
};

// Two windows compared by the moments of s and d: their means and those of their squares, and what
// the means were lessened by, times luminance.
template <typename C>
struct SsimWindow {
  const SsimConstants<C>& constants;
  C m_s, m_d, mean_s, mean_d, apart, variance_s, variance_d;
  C sum_l, sum_c, inverse_l, inverse_c;

  __device__ SsimWindow(C m_s, C square_s, C m_d, C square_d, C shift_s, C shift_d,
                        const SsimConstants<C>& constants)
      : constants(constants), m_s(m_s), m_d(m_d) {
    mean_s = m_s * constants.luminance + shift_s;
    mean_d = m_d * constants.luminance + shift_d;
    apart = mean_d * mean_d;
    variance_s = ssim_positive(square_s - m_s * m_s);
    variance_d = ssim_positive(square_d - m_d * m_d);
    sum_l = mean_s * mean_s + constants.twice_c1 + apart;
    sum_c = variance_s + constants.twice_c2 + variance_d;
    inverse_l = ssim_reciprocal(sum_l);
    inverse_c = ssim_reciprocal(sum_c);
  }

  __device__ C luminance() const {
    const C mean_x = mean_s + mean_d, mean_y = mean_s - mean_d;
    return ssim_divide(mean_x * mean_y + constants.twice_c1, sum_l, inverse_l);
  }

  __device__ C contrast() const {
    return ssim_divide(variance_s - variance_d + constants.twice_c2, sum_c, inverse_c);
  }

  __device__ C similarity() const { return luminance() * contrast(); }

  // 1 - similarity, with all its digits where that is small.
  __device__ C dissimilarity() const {
    const C a = 2 * apart * inverse_l, b = 2 * variance_d * inverse_c;
    return a + b - a * b;
  }

  // From the input's mean, by squares, by products, from the target's mean.
  __device__ void slopes(C grad, C (&to)[4]) const {
    const C mean_x = mean_s + mean_d, mean_y = mean_s - mean_d;
    const C m_x = m_s + m_d, m_y = m_s - m_d;
    const C l = luminance(), c = contrast();
    const C product = l * inverse_c * grad, square = c * product, mean = c * inverse_l * grad;
    to[0] = mean * (mean_y - l * mean_x) + m_x * square - m_y * product;
    to[1] = square;
    to[2] = product;
    to[3] = mean * (mean_x - l * mean_y) + m_y * square - m_x * product;
  }
};

}  // namespace vqe_fast
