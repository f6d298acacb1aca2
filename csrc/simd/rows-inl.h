// Rows of planes that lie anyhow.
#if defined(VQE_FAST_SIMD_ROWS_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_SIMD_ROWS_INL_H_
#undef VQE_FAST_SIMD_ROWS_INL_H_
#else
#define VQE_FAST_SIMD_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "common/strided_matrix.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// count values of a row in the type they are computed in: where they are, or in buffer. Rows of a
// tile are too short for the processor to see the next ones coming: the row that is kAhead further
// down is fetched along.
template <int64_t kAhead, typename T>
inline const Computed<T>* load_row(const StridedMatrix<T>& plane, int64_t row, int64_t column,
                                   int64_t count, Computed<T>* buffer) {
  const T* from = plane.at(row, column);
  if (plane.column_stride == 1) {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int64_t i = 0; i < count; i += kLine) {
      __builtin_prefetch(from + kAhead * plane.row_stride + i);
    }
    if constexpr (std::is_same_v<T, Computed<T>>) {
      return from;
    }
  }
  for (int64_t i = 0; i < count; i += kBlock) {
    const int64_t size = std::min<int64_t>(count - i, kBlock);
    if (plane.column_stride == 1) {
      load(from + i, size, buffer + i);
      continue;
    }
    T gathered[kBlock] = {};
    for (int64_t k = 0; k < size; ++k) {
      gathered[k] = from[(i + k) * plane.column_stride];
    }
    load_block(gathered, buffer + i);
  }
  return buffer;
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
