// Four neighbouring columns of a row: what a thread of the fusion kernels computes at a time.
// Groups of columns begin at multiples of four, so that only the last one of a row can be partial.
#pragma once

#include <cstdint>
#include <cstring>

namespace vqe_fast {

constexpr int kColumns = 4;

template <typename T>
struct alignas(kColumns * sizeof(T)) Columns {
  T of[kColumns];
};

// How many columns of a group lie in a row.
__host__ __device__ inline int columns_inside(int column, int width) {
  const int left = column < 0 ? 0 : width - column;
  return left < 0 ? 0 : left < kColumns ? left : kColumns;
}

// Loads the first `count` columns, zeros after them; in one piece where aligned, and then all four.
template <bool kAligned, typename T>
__device__ Columns<T> load_columns(const T* from, int64_t stride, int count) {
  if constexpr (kAligned) {
    return *reinterpret_cast<const Columns<T>*>(from);
  } else {
    Columns<T> columns;
    for (int k = 0; k < kColumns; ++k) {
      columns.of[k] = k < count ? from[k * stride] : static_cast<T>(0.0f);
    }
    return columns;
  }
}

// The compiler takes a structure to pieces and does not always put them together again.
template <typename T>
__device__ void store_whole(const Columns<T>& columns, T* to) {
#if defined(__CUDA_ARCH__)
  constexpr int kWords = sizeof columns / 4;
  unsigned words[kWords];
  memcpy(words, &columns, sizeof columns);
  if constexpr (kWords == 2) {
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(to), "r"(words[0]), "r"(words[1])
                 : "memory");
  } else {
    for (int i = 0; i < kWords; i += 4) {
      asm volatile(
          "st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(reinterpret_cast<char*>(to) + 4 * i),
          "r"(words[i]), "r"(words[i + 1]), "r"(words[i + 2]), "r"(words[i + 3])
          : "memory");
    }
  }
#else
  *reinterpret_cast<Columns<T>*>(to) = columns;
#endif
}

template <bool kAligned, typename T>
__device__ void store_columns(const Columns<T>& columns, int count, T* to) {
  if constexpr (kAligned) {
    store_whole(columns, to);
  } else {
    for (int k = 0; k < kColumns; ++k) {
      if (k < count) {
        to[k] = columns.of[k];
      }
    }
  }
}

// Images of planes.
struct FusionSize {
  int images, channels, height, width;

  __host__ __device__ int64_t pixels() const { return static_cast<int64_t>(height) * width; }
};

// Whether rows can be loaded and stored in one piece: contiguous ones, and those of frames
// [B, C, H, W] of any strides.
template <typename T>
bool rows_aligned(const T* values, const FusionSize& size) {
  return size.width % kColumns == 0 &&
         reinterpret_cast<uintptr_t>(values) % sizeof(Columns<T>) == 0;
}

template <typename T>
bool rows_aligned(const T* frames, const int64_t* strides, const FusionSize& size) {
  const auto whole = [&](int side, int64_t stride) { return side == 1 || stride % kColumns == 0; };
  return rows_aligned(frames, size) && strides[3] == 1 && whole(size.images, strides[0]) &&
         whole(size.channels, strides[1]) && whole(size.height, strides[2]);
}

__host__ __device__ constexpr int parts_of(int whole, int part) {
  return (whole + part - 1) / part;
}

}  // namespace vqe_fast
