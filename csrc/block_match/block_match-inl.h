// Block matching of one row of blocks, or of pixels, at each stage.
#if defined(VQE_FAST_BLOCK_MATCH_BLOCK_MATCH_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_BLOCK_MATCH_BLOCK_MATCH_INL_H_
#undef VQE_FAST_BLOCK_MATCH_BLOCK_MATCH_INL_H_
#else
#define VQE_FAST_BLOCK_MATCH_BLOCK_MATCH_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "block_match/block_match.h"
#include "block_match/cost-inl.h"
#include "common/strided_matrix.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

template <typename C>
inline uint8_t quantised(C value) {
  const C scaled = value * 255;
  return scaled > 0 ? static_cast<uint8_t>(std::nearbyint(std::min<C>(scaled, 255))) : 0;
}

// One row of a plane in 8 bits, with its edges replicated.
template <typename T>
void quantise_row(const StridedMatrix<T>& luma, int64_t y, const BytePlane& plane) {
  const int64_t from = std::clamp<int64_t>(y, 0, plane.height - 1), width = plane.width;
  uint8_t* to = plane.row(y);
  if constexpr (std::is_same_v<T, uint8_t>) {
    for (int64_t x = 0; x < width; ++x) {
      to[x] = *luma.at(from, x);
    }
  } else {
    Computed<T> values[kBlock];
    for (int64_t x = 0; x < width; x += kBlock) {
      const int64_t count = std::min<int64_t>(kBlock, width - x);
      if (luma.column_stride == 1) {
        load(luma.at(from, x), count, values);
      } else {
        T gathered[kBlock] = {};
        for (int64_t i = 0; i < count; ++i) {
          gathered[i] = *luma.at(from, x + i);
        }
        load_block(gathered, values);
      }
      uint8_t bytes[kBlock];
      for (int i = 0; i < kBlock; ++i) {
        bytes[i] = quantised(values[i]);
      }
      std::memcpy(to + x, bytes, count);
    }
  }
  std::memset(to - kBefore, to[0], kBefore);
  std::memset(to + width, to[width - 1], kAfter);
}

// One row of cells: means of 4×4 pixels, with the edges of the cells replicated.
inline void cell_row(const BytePlane& plane, int64_t y, const BytePlane& cells) {
  const int64_t from = std::clamp<int64_t>(y, 0, cells.height - 1), width = cells.width;
  uint8_t* to = cells.row(y);
  for (int64_t x = 0; x < width; ++x) {
    int sum = 8;
    for (int64_t row = 4 * from; row < 4 * from + 4; ++row) {
      const uint8_t* pixels = plane.row(std::min(row, plane.height - 1)) + 4 * x;
      sum += pixels[0] + pixels[1] + pixels[2] + pixels[3];
    }
    to[x] = static_cast<uint8_t>(sum >> 4);
  }
  std::memset(to - kCellsBefore, to[0], kCellsBefore);
  std::memset(to + width, to[width - 1], kCellsAfter);
}

// The best whole-cell vectors of a row of blocks. scratch has two values a column of cells and two
// a block.
inline void coarse_row(const BlockMatch& call, int64_t row, uint16_t* scratch, Vector2* found) {
  const int64_t side = call.block_size / 4, window = side + 2 * kCellMargin;
  const int64_t columns = call.columns, span = columns * side + 2 * kCellMargin;
  const int64_t top = row * side - kCellMargin;
  uint16_t *sums = scratch, *costs = sums + span, *lowest = costs + columns;
  int16_t* best = reinterpret_cast<int16_t*>(lowest + columns);
  std::fill_n(lowest, columns, uint16_t{0xffff});
  // The shorter first, then the higher, then the further left: of equal ones the first stays.
  for (int64_t length = 0; length <= 2 * kRange; ++length) {
    for (int64_t dy = -std::min(length, kRange); dy <= std::min(length, kRange); ++dy) {
      const int64_t across = length - std::abs(dy);
      if (across > kRange) {
        continue;
      }
      for (int64_t dx = -across; dx <= across; dx += std::max<int64_t>(2 * across, 1)) {
        std::fill_n(sums, span, uint16_t{0});
        for (int64_t y = top; y < top + window; ++y) {
          const uint8_t* own = call.frame_cells.row(y) - kCellMargin;
          const uint8_t* other = call.reference_cells.row(y + dy) - kCellMargin + dx;
          for (int64_t x = 0; x < span; ++x) {
            const uint8_t a = own[x], b = other[x];
            sums[x] = static_cast<uint16_t>(
                sums[x] + static_cast<uint8_t>(std::max(a, b) - std::min(a, b)));
          }
        }
        const auto penalty = static_cast<uint16_t>(kCellPenalty * length);
        for (int64_t j = 0; j < columns; ++j) {
          uint16_t cost = penalty;
          for (int64_t x = 0; x < window; ++x) {
            cost = static_cast<uint16_t>(cost + sums[j * side + x]);
          }
          costs[j] = cost;
        }
        const auto code = static_cast<int16_t>((dy + kRange) * 32 + dx + kRange);
        for (int64_t j = 0; j < columns; ++j) {
          best[j] = costs[j] < lowest[j] ? code : best[j];
          lowest[j] = std::min(costs[j], lowest[j]);
        }
      }
    }
  }
  for (int64_t j = 0; j < columns; ++j) {
    found[j] = {static_cast<int32_t>(16 * (best[j] % 32 - kRange)),
                static_cast<int32_t>(16 * (best[j] / 32 - kRange))};
  }
}

// Of each component among the 3×3 blocks around one.
inline Vector2 median_at(const BlockMatch& call, const Vector2* vectors, int64_t row,
                         int64_t column) {
  int32_t x[9], y[9];
  int count = 0;
  for (int64_t i = row - 1; i <= row + 1; ++i) {
    for (int64_t j = column - 1; j <= column + 1; ++j, ++count) {
      const Vector2& vector = vectors[std::clamp<int64_t>(i, 0, call.rows - 1) * call.columns +
                                      std::clamp<int64_t>(j, 0, call.columns - 1)];
      x[count] = vector.x;
      y[count] = vector.y;
    }
  }
  std::nth_element(x, x + 4, x + 9);
  std::nth_element(y, y + 4, y + 9);
  return {x[4], y[4]};
}

// Whole pixels from the coarse vectors, from zero and from candidates, unless these are null.
inline void whole_row(const BlockMatch& call, int64_t row, const Vector2* coarse,
                      const Vector2* candidates, Vector2* found) {
  for (int64_t j = 0; j < call.columns; ++j) {
    const int64_t at = row * call.columns + j;
    Candidate best(call, row, j, median_at(call, coarse, row, j));
    best.offer_whole(coarse[at]);
    best.offer_whole({0, 0});
    if (candidates != nullptr) {
      best.offer_whole(candidates[at]);
    }
    best.search_whole(2);
    found[at] = best.vector();
  }
}

// The vectors of the blocks around, then half and quarter pixels; differences are those of windows.
inline void fine_row(const BlockMatch& call, int64_t row, const Vector2* whole, int16_t* x,
                     int16_t* y, float* errors) {
  for (int64_t j = 0; j < call.columns; ++j) {
    const Vector2 prediction = median_at(call, whole, row, j);
    Candidate best(call, row, j, prediction);
    best.offer_whole(whole[row * call.columns + j]);
    best.offer_whole(prediction);
    for (int64_t i = row - 1; i <= row + 1; ++i) {
      for (int64_t k = j - 1; k <= j + 1; ++k) {
        best.offer_whole(whole[std::clamp<int64_t>(i, 0, call.rows - 1) * call.columns +
                               std::clamp<int64_t>(k, 0, call.columns - 1)]);
      }
    }
    best.search_between(2);
    best.search_between(1);
    x[j] = static_cast<int16_t>(best.vector().x);
    y[j] = static_cast<int16_t>(best.vector().y);
    errors[j] = static_cast<float>(best.differences()) / (255 * kWindow * kWindow);
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
