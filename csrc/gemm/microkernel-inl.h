// Products of matrices whose results stay in registers while they are summed up.
#if defined(VQE_FAST_GEMM_MICROKERNEL_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_GEMM_MICROKERNEL_INL_H_
#undef VQE_FAST_GEMM_MICROKERNEL_INL_H_
#else
#define VQE_FAST_GEMM_MICROKERNEL_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "common/strided_matrix.h"
#include "simd/isa_level.h"
#include "simd/vector-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// A few rows of a few vectors of results: as many as there are registers for.
constexpr int kMicrokernelVectors = 3;
#if VQE_FAST_LEVEL >= 2 || defined(__aarch64__)
constexpr int kMicrokernelRows = 8;
#else
constexpr int kMicrokernelRows = 4;
#endif

template <typename C>
constexpr int64_t microkernel_columns() {
  return kMicrokernelVectors * VectorOf<C>::lanes;
}

// What becomes of a product a b, and of the results c that are there already: c = a b, c + a b, or
// c * factors + a b with a factor for each column.
enum class Epilogue { store, add, scale_add };

// sums + value * row. Of pairs of bfloat16 both products are added.
template <typename C>
inline Vector<C> multiply_add(C value, Vector<C> row, Vector<C> sums) {
  return sums + value * row;
}
#if VQE_FAST_LEVEL == 3
inline Vector<float> multiply_add(uint32_t value, Vector<uint32_t> row, Vector<float> sums) {
  const Vector<uint32_t> values = Vector<uint32_t>{} + value;
  return _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(values),
                          reinterpret_cast<__m512bh>(row));
}
#endif

// The product a b of kMicrokernelRows x microkernel_columns, and its epilogue into c. The columns
// of b are contiguous.
template <Epilogue kEpilogue, typename Value, typename C>
__attribute__((noinline)) void microkernel(StridedMatrix<Value> a, const Value* b, int64_t b_stride,
                                           int64_t depth, C* c, int64_t c_stride,
                                           const C* factors) {
  constexpr int kLanes = VectorOf<C>::lanes;
  Vector<C> sums[kMicrokernelRows][kMicrokernelVectors];
#pragma GCC unroll 8
  for (auto& row : sums) {
#pragma GCC unroll 4
    for (auto& sum : row) {
      sum = Vector<C>{};
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector<Value> row[kMicrokernelVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kMicrokernelVectors; ++v) {
      row[v] = load_vector(b + v * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kMicrokernelRows; ++r) {
      const Value value = a.data[r * a.row_stride];
#pragma GCC unroll 4
      for (int v = 0; v < kMicrokernelVectors; ++v) {
        sums[r][v] = multiply_add(value, row[v], sums[r][v]);
      }
    }
    a.data += a.column_stride;
    b += b_stride;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kMicrokernelRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kMicrokernelVectors; ++v) {
      C* to = c + r * c_stride + v * kLanes;
      // Added only now: a sum of few numbers at a time keeps more of their digits.
      if constexpr (kEpilogue == Epilogue::add) {
        sums[r][v] += load_vector(to);
      } else if constexpr (kEpilogue == Epilogue::scale_add) {
        sums[r][v] += load_vector(to) * load_vector(factors + v * kLanes);
      }
      store_vector(sums[r][v], to);
    }
  }
}

// Numbers that are summed up before they are added to others: few enough for their sums to keep
// their digits, and for the rows of b that they meet to stay in the nearest cache.
constexpr int64_t kLongestSum = 192;

// The same for as many rows and columns as are asked for, rounded up to whole products.
template <Epilogue kEpilogue, typename Value, typename C>
inline void gemm(StridedMatrix<Value> a, int64_t rows, const Value* b, int64_t b_stride,
                 int64_t columns, int64_t depth, C* c, int64_t c_stride,
                 const C* factors = nullptr) {
  const int64_t pieces = std::max<int64_t>((depth + kLongestSum - 1) / kLongestSum, 1);
  for (int64_t i = 0; i < columns; i += microkernel_columns<C>()) {
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t start = depth * piece / pieces, end = depth * (piece + 1) / pieces;
      for (int64_t r = 0; r < rows; r += kMicrokernelRows) {
        const StridedMatrix<Value> from{a.at(r, start), a.row_stride, a.column_stride};
        const Value* below = b + start * b_stride + i;
        C* to = c + r * c_stride + i;
        if (piece == 0) {
          const C* scales = kEpilogue == Epilogue::scale_add ? factors + i : nullptr;
          microkernel<kEpilogue>(from, below, b_stride, end - start, to, c_stride, scales);
        } else {
          microkernel<Epilogue::add, Value, C>(from, below, b_stride, end - start, to, c_stride,
                                               nullptr);
        }
      }
    }
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
