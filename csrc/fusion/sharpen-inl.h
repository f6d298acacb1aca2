// Rows of an image that is sharpened.
#if defined(VQE_FAST_FUSION_SHARPEN_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_FUSION_SHARPEN_INL_H_
#undef VQE_FAST_FUSION_SHARPEN_INL_H_
#else
#define VQE_FAST_FUSION_SHARPEN_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "common/tile.h"
#include "fusion/fusion.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"
#include "simd/vector-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

constexpr int64_t kSharpColumns = 512;
constexpr int64_t kSharpRows = 32;
constexpr int64_t kSharpMargin = kMaxTaps / 2;
constexpr int64_t kSharpStride = kSharpColumns + 2 * kSharpMargin + kBlock;
constexpr int64_t kSharpScratch = (kSharpRows + 2 * kSharpMargin + 2) * kSharpStride;

// source(row, column, count, to) writes count values of a row, and may write up to the end of the
// block; sink(row, values) takes those of the tile's columns.
template <typename C, typename Source, typename Sink>
void sharpened(const Sharpening<C>& filter, int64_t height, int64_t width, const Tile& tile,
               const Source& source, const Sink& sink, C* scratch) {
  constexpr int64_t kLanes = VectorOf<C>::lanes;
  const int64_t radius = filter.radius(), count = tile.columns();
  if (radius == 0) {
    for (int64_t row = tile.row_begin; row < tile.row_end; ++row) {
      source(row, tile.column_begin, count, scratch);
      sink(row, scratch);
    }
    return;
  }
  const int64_t top = std::max<int64_t>(0, tile.row_begin - radius);
  const int64_t bottom = std::min(height, tile.row_end + radius);
  const int64_t left = std::max<int64_t>(0, tile.column_begin - radius);
  const int64_t right = std::min(width, tile.column_end + radius);
  C* const result = scratch;
  C* const blurred = scratch + kSharpStride;
  // Every row begins a radius left of the tile, at the image's border or before it.
  C* const rows = blurred + kSharpStride;
  const int64_t lead = left - (tile.column_begin - radius);
  for (int64_t row = top; row < bottom; ++row) {
    source(row, left, right - left, rows + (row - top) * kSharpStride + lead);
  }
  for (int64_t row = tile.row_begin; row < tile.row_end; ++row) {
    const C* const values = rows + (row - top) * kSharpStride + radius;
    // Rows beyond the border have no weight, and nothing has been written there.
    int64_t used = 0;
    C weights[kMaxTaps];
    const C* from[kMaxTaps];
    for (int64_t k = -radius; k <= radius; ++k) {
      weights[used] = filter.weight(row, row + k, height);
      from[used] = values + k * kSharpStride + lead - radius;
      used += weights[used] != 0;
    }
    for (int64_t i = 0; i < right - left; i += kLanes) {
      Vector<C> sum = weights[0] * load_vector(from[0] + i);
      for (int64_t k = 1; k < used; ++k) {
        sum += weights[k] * load_vector(from[k] + i);
      }
      store_vector(sum, blurred + lead + i);
    }
    for (int64_t i = 0; i < count; i += kLanes) {
      Vector<C> sum = {};
      for (int64_t k = 0; k < filter.size; ++k) {
        sum += filter.taps[k] * load_vector(blurred + i + k);
      }
      const Vector<C> value = load_vector(values + i);
      store_vector(value + filter.amount * (value - sum), result + i);
    }
    const auto at_border = [&](int64_t column) {
      C sum = 0;
      for (int64_t k = -radius; k <= radius; ++k) {
        if (const C weight = filter.weight(column, column + k, width); weight != 0) {
          sum += weight * blurred[column - tile.column_begin + radius + k];
        }
      }
      const int64_t i = column - tile.column_begin;
      result[i] = values[i] + filter.amount * (values[i] - sum);
    };
    const int64_t border = radius + 1;
    for (int64_t i = tile.column_begin; i < std::min(border, tile.column_end); ++i) {
      at_border(i);
    }
    const int64_t end = std::max(border, width - border);
    for (int64_t i = std::max(end, tile.column_begin); i < tile.column_end; ++i) {
      at_border(i);
    }
    sink(row, result);
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
