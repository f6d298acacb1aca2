// The coarse search of a band of rows of blocks, every place at once.
#if defined(VQE_FAST_BLOCK_MATCH_COARSE_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_BLOCK_MATCH_COARSE_INL_H_
#undef VQE_FAST_BLOCK_MATCH_COARSE_INL_H_
#else
#define VQE_FAST_BLOCK_MATCH_COARSE_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "block_match/block_match.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// Sums of absolute differences over squares of kSide × kSide cells beside each other; up to a
// multiple of 16 of them.
template <int kSide>
inline void square_differences(const uint8_t* own, int64_t own_stride, const uint8_t* other,
                               int64_t other_stride, int64_t count, uint16_t* sums) {
#if VQE_FAST_LEVEL >= 1
  if constexpr (kSide == 2) {
    const __m256i ones = _mm256_set1_epi8(1);
    const auto differences = [&](const uint8_t* a, const uint8_t* b) {
      const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
      const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
      const __m256i each = _mm256_or_si256(_mm256_subs_epu8(x, y), _mm256_subs_epu8(y, x));
      return _mm256_maddubs_epi16(each, ones);
    };
    for (int64_t j = 0; j < count; j += 16) {
      const uint8_t *a = own + 2 * j, *b = other + 2 * j;
      const __m256i sum =
          _mm256_add_epi16(differences(a, b), differences(a + own_stride, b + other_stride));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + j), sum);
    }
    return;
  }
#endif
  for (int64_t j = 0; j < count; ++j) {
    int sum = 0;
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = kSide * j; x < kSide * (j + 1); ++x) {
        const uint8_t a = own[y * own_stride + x], b = other[y * other_stride + x];
        sum += static_cast<uint8_t>(std::max(a, b) - std::min(a, b));
      }
    }
    sums[j] = static_cast<uint16_t>(sum);
  }
}

// Lowers the costs of a row of blocks to those of the vector `code`, where they are lower, whose
// windows are kSpan × kSpan squares.
template <int kSpan>
inline void take_lower(const uint16_t* squares, int64_t stride, int64_t count, uint16_t penalty,
                       uint16_t code, uint16_t* down, uint16_t* lowest, uint16_t* best) {
  for (int64_t j = 0; j < count + kSpan - 1; ++j) {
    uint16_t sum = squares[j];
    for (int64_t y = 1; y < kSpan; ++y) {
      sum = static_cast<uint16_t>(sum + squares[y * stride + j]);
    }
    down[j] = sum;
  }
  for (int64_t j = 0; j < count; ++j) {
    uint16_t cost = penalty;
    for (int64_t x = 0; x < kSpan; ++x) {
      cost = static_cast<uint16_t>(cost + down[j + x]);
    }
    best[j] = cost < lowest[j] ? code : best[j];
    lowest[j] = std::min(cost, lowest[j]);
  }
}

// The best whole-cell vectors of the rows `begin` to `end` of blocks of kSide × kSide cells.
template <int kSide>
inline void coarse_band(const BlockMatch& call, int64_t begin, int64_t end, uint16_t* scratch,
                        Vector2* found) {
  // Windows are the block and the margin: at a side of 2 as many squares, of which each is as large
  // as a block, so that blocks beside each other share them.
  constexpr int kSpan = (kSide + 2 * kCellMargin) / kSide;
  const int64_t columns = call.columns, stride = coarse_stride(columns);
  const int64_t rows = end - begin;
  uint16_t *squares = scratch, *down = squares + (rows + kSpan - 1) * stride;
  uint16_t *lowest = down + stride, *best = lowest + rows * stride;
  std::fill_n(lowest, rows * stride, uint16_t{0xffff});
  const int64_t top = begin * kSide - kCellMargin;
  const auto search = [&](int64_t dy, int64_t dx) {
    for (int64_t i = 0; i < rows + kSpan - 1; ++i) {
      const uint8_t* own = call.frame_cells.row(top + i * kSide) - kCellMargin;
      const uint8_t* other = call.reference_cells.row(top + i * kSide + dy) - kCellMargin + dx;
      square_differences<kSide>(own, call.frame_cells.stride, other, call.reference_cells.stride,
                                columns + kSpan - 1, squares + i * stride);
    }
    const auto penalty = static_cast<uint16_t>(kCellPenalty * (std::abs(dy) + std::abs(dx)));
    const auto code = static_cast<uint16_t>((dy + kRange) * 32 + dx + kRange);
    for (int64_t i = 0; i < rows; ++i) {
      take_lower<kSpan>(squares + i * stride, stride, columns, penalty, code, down,
                        lowest + i * stride, best + i * stride);
    }
  };
  // The shorter first, then the higher, then the further left: of equal ones the first stays.
  for (int64_t length = 0; length <= 2 * kRange; ++length) {
    const int64_t reach = std::min(length, kRange);
    for (int64_t dy = -reach; dy <= reach; ++dy) {
      const int64_t across = length - std::abs(dy);
      if (across <= kRange) {
        search(dy, -across);
        if (across > 0) {
          search(dy, across);
        }
      }
    }
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const int code = best[i * stride + j];
      found[(begin + i) * columns + j] = {static_cast<int32_t>(16 * (code % 32 - kRange)),
                                          static_cast<int32_t>(16 * (code / 32 - kRange))};
    }
  }
}

inline void coarse_rows(const BlockMatch& call, int64_t begin, int64_t end, uint16_t* scratch,
                        Vector2* found) {
  if (call.block_size == 8) {
    coarse_band<2>(call, begin, end, scratch, found);
  } else {
    coarse_band<1>(call, begin, end, scratch, found);
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
