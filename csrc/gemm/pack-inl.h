// Copies of matrices in the form in which products read them.
#if defined(VQE_FAST_GEMM_PACK_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_GEMM_PACK_INL_H_
#undef VQE_FAST_GEMM_PACK_INL_H_
#else
#define VQE_FAST_GEMM_PACK_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/strided_matrix.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"
#include "simd/transpose-inl.h"
#include "simd/vector-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// The values of a matrix in the type they are computed in.
template <typename T>
struct Values {
  using Value = Computed<T>;
  StridedMatrix<T> matrix;
  int64_t rows, columns;

  int64_t whole_rows() const { return rows; }
  Value at(int64_t row, int64_t column) const {
    return row < rows && column < columns ? static_cast<Value>(*matrix.at(row, column)) : Value{};
  }
  // The values from here on along the row, and down the column, where these are contiguous.
  Vector<Value> along(int64_t row, int64_t column) const { return widen(matrix.at(row, column)); }
  Vector<Value> down(int64_t row, int64_t column) const { return widen(matrix.at(row, column)); }
  void prefetch(int64_t row, int64_t column) const { __builtin_prefetch(matrix.at(row, column)); }
};

// Pairs of values: of rows 2 i (the lower half) and 2 i + 1 of a matrix of single_rows.
struct RowPairs {
  using Value = uint32_t;
  StridedMatrix<BFloat16> matrix;
  int64_t single_rows, columns;

  int64_t whole_rows() const { return single_rows / 2; }
  Value at(int64_t row, int64_t column) const {
    const auto single = [&](int64_t r) -> Value {
      return r < single_rows && column < columns ? matrix.at(r, column)->x : 0;
    };
    return single(2 * row) | single(2 * row + 1) << 16;
  }
  Vector<Value> along(int64_t row, int64_t column) const {
    return bits(widen(matrix.at(2 * row, column))) >> 16 |
           bits(widen(matrix.at(2 * row + 1, column)));
  }
  void prefetch(int64_t row, int64_t column) const {
    __builtin_prefetch(matrix.at(2 * row, column));
    __builtin_prefetch(matrix.at(2 * row + 1, column));
  }
  Vector<Value> down(int64_t row, int64_t column) const {
    Vector<Value> pairs;
    std::memcpy(&pairs, matrix.at(2 * row, column), sizeof pairs);
    return pairs;
  }

 private:
  static Vector<Value> bits(Vector<float> values) {
    return reinterpret_cast<Vector<Value>>(values);
  }
};

// Element (r, c) of rows x columns goes to to[r * stride + c] or, transposed, to[c * stride + r];
// what the source does not have is zero there. Rows and columns are multiples of 16.
template <bool kTransposed, typename Source>
void pack(const Source& source, int64_t rows, int64_t columns, typename Source::Value* to,
          int64_t stride) {
  using V = Vector<typename Source::Value>;
  constexpr int kLanes = VectorOf<typename Source::Value>::lanes;
  const bool along = source.matrix.column_stride == 1;
  const int64_t whole_rows = source.whole_rows(), whole_columns = source.columns;
  // Row by row where rows lie as they should: few streams that the processor can foresee.
  int64_t done_rows = 0;
  if (!kTransposed && along) {
    done_rows = std::min(rows, whole_rows) / kLanes * kLanes;
    const int64_t done_columns = std::min(columns, whole_columns) / kLanes * kLanes;
    for (int64_t r = 0; r < done_rows; ++r) {
      for (int64_t c = 0; c < done_columns; c += kLanes) {
        source.prefetch(std::min(r + 4, done_rows - 1), c);
        store_vector(source.along(r, c), to + r * stride + c);
      }
      for (int64_t c = done_columns; c < columns; ++c) {
        to[r * stride + c] = source.at(r, c);
      }
    }
  }
  for (int64_t r = done_rows; r < rows; r += kLanes) {
    for (int64_t c = 0; c < columns; c += kLanes) {
      V square[kLanes];
      const bool whole = r + kLanes <= whole_rows && c + kLanes <= whole_columns;
      for (int i = 0; i < kLanes; ++i) {
        if (!whole) {
          for (int k = 0; k < kLanes; ++k) {
            square[i][k] = source.at(r + i, c + k);
          }
        } else {
          square[i] = along ? source.along(r + i, c) : source.down(r, c + i);
        }
      }
      if (kTransposed != (whole && !along)) {
        transpose(square);
      }
      for (int i = 0; i < kLanes; ++i) {
        store_vector(square[i],
                     kTransposed ? to + (c + i) * stride + r : to + (r + i) * stride + c);
      }
    }
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
