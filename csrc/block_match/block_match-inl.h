// Block matching of one row of blocks, or of pixels, at each stage.
#if defined(VQE_FAST_BLOCK_MATCH_BLOCK_MATCH_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_BLOCK_MATCH_BLOCK_MATCH_INL_H_
#undef VQE_FAST_BLOCK_MATCH_BLOCK_MATCH_INL_H_
#else
#define VQE_FAST_BLOCK_MATCH_BLOCK_MATCH_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "block_match/block_match.h"
#include "block_match/coarse-inl.h"
#include "block_match/cost-inl.h"
#include "common/strided_matrix.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// Adding and taking away a number with no digits below one rounds to the nearest, ties to even.
template <typename C>
inline uint8_t quantised(C value) {
  constexpr C kWhole = C{3} * (uint64_t{1} << (std::numeric_limits<C>::digits - 2));
  const C scaled = value * 255;
  const C limited = std::min<C>(scaled > 0 ? scaled : 0, 255);
  return static_cast<uint8_t>(static_cast<int32_t>(limited + kWhole - kWhole));
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

// Of nine values.
inline int32_t median(const int32_t (&values)[9]) {
  const auto low = [](int32_t a, int32_t b) { return std::min(a, b); };
  const auto high = [](int32_t a, int32_t b) { return std::max(a, b); };
  const auto middle = [&](int32_t a, int32_t b, int32_t c) {
    return high(low(a, b), low(high(a, b), c));
  };
  int32_t lowest = INT32_MIN, highest = INT32_MAX, middles[3];
  for (int i = 0; i < 3; ++i) {
    const int32_t* v = values + 3 * i;
    lowest = high(lowest, low(v[0], low(v[1], v[2])));
    highest = low(highest, high(v[0], high(v[1], v[2])));
    middles[i] = middle(v[0], v[1], v[2]);
  }
  return middle(lowest, middle(middles[0], middles[1], middles[2]), highest);
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
  return {median(x), median(y)};
}

// Whole pixels from the coarse vectors, from zero and from candidates, unless these are null.
inline void whole_row(const BlockMatch& call, int64_t row, const Vector2* coarse,
                      const Vector2* candidates, Vector2* found) {
  for (int64_t j = 0; j < call.columns; ++j) {
    const int64_t at = row * call.columns + j;
    Candidate best(call, row, j, median_at(call, coarse, row, j));
    best.offer(coarse[at]);
    best.offer({0, 0});
    if (candidates != nullptr) {
      best.offer(candidates[at]);
    }
    best.search(4, 2);
    found[at] = best.vector();
  }
}

// Offers the vectors of the block and of those around, and what they predict, each once.
inline void offer_neighbours(const BlockMatch& call, int64_t row, int64_t column,
                             const Vector2* vectors, Vector2 prediction, Candidate& best) {
  Vector2 offered[10] = {prediction};
  best.offer(prediction);
  int count = 1;
  for (int64_t i = row - 1; i <= row + 1; ++i) {
    for (int64_t j = column - 1; j <= column + 1; ++j) {
      const Vector2 vector = vectors[std::clamp<int64_t>(i, 0, call.rows - 1) * call.columns +
                                     std::clamp<int64_t>(j, 0, call.columns - 1)];
      if (std::find(offered, offered + count, vector) == offered + count) {
        best.offer(vector);
        offered[count++] = vector;
      }
    }
  }
}

// The vectors of the blocks around, then half and quarter pixels.
inline void parts_row(const BlockMatch& call, int64_t row, const Vector2* whole, Vector2* found) {
  for (int64_t j = 0; j < call.columns; ++j) {
    const Vector2 prediction = median_at(call, whole, row, j);
    Candidate best(call, row, j, prediction);
    offer_neighbours(call, row, j, whole, prediction, best);
    best.search(2, 1);
    best.search(1, 1);
    found[row * call.columns + j] = best.vector();
  }
}

// The vectors of the blocks around once more; and the mean differences of windows there.
inline void last_row(const BlockMatch& call, int64_t row, const Vector2* parts, int16_t* x,
                     int16_t* y, float* errors) {
  for (int64_t j = 0; j < call.columns; ++j) {
    const Vector2 prediction = median_at(call, parts, row, j);
    Candidate best(call, row, j, prediction);
    offer_neighbours(call, row, j, parts, prediction, best);
    x[j] = static_cast<int16_t>(best.vector().x);
    y[j] = static_cast<int16_t>(best.vector().y);
    errors[j] = static_cast<float>(best.differences()) / (255 * kWindow * kWindow);
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
