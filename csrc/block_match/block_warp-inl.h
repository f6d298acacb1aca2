// Warping of a row of blocks of a plane, and its transpose for a band of a plane; by whole pixels
// of all of a plane.
#if defined(VQE_FAST_BLOCK_MATCH_BLOCK_WARP_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_BLOCK_MATCH_BLOCK_WARP_INL_H_
#undef VQE_FAST_BLOCK_MATCH_BLOCK_WARP_INL_H_
#else
#define VQE_FAST_BLOCK_MATCH_BLOCK_WARP_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "block_match/block_warp.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// Catmull-Rom at `part` eighths from the second of four pixels to the third.
template <typename C>
inline void catmull_rom(int64_t part, C* weights) {
  const C t = static_cast<C>(part) / kParts, u = 1 - t;
  weights[0] = -t * u * u / 2;
  weights[1] = 1 + t * t * (3 * t - 5) / 2;
  weights[2] = 1 + u * u * (3 * u - 5) / 2;
  weights[3] = -u * t * t / 2;
}

// The pixels of a plane that lie at (row, column) and beyond it, edges replicated: `count` in a
// row. They are where they are, or in buffer.
template <typename T>
inline const T* pixels_at(const BlockGrid& grid, const T* plane, int64_t row, int64_t column,
                          int64_t count, T* buffer) {
  const T* line = plane + std::clamp<int64_t>(row, 0, grid.height - 1) * grid.width;
  if (column >= 0 && column + count <= grid.width) {
    return line + column;
  }
  for (int64_t x = 0; x < count; ++x) {
    buffer[x] = line[std::clamp<int64_t>(column + x, 0, grid.width - 1)];
  }
  return buffer;
}

// A block whose displacement has parts of a pixel, [kSide, kSide].
template <int kSide, typename T>
inline void interpolate_block(const BlockGrid& grid, const T* plane, int64_t row, int64_t column,
                              int64_t part_x, int64_t part_y, T* block) {
  using C = Computed<T>;
  C across[4], down[4], rows[kSide + 3][kSide];
  catmull_rom(part_x, across);
  catmull_rom(part_y, down);
  for (int64_t y = 0; y < kSide + 3; ++y) {
    T buffer[kSide + 3];
    const T* from = pixels_at(grid, plane, row + y - 1, column - 1, kSide + 3, buffer);
    C pixels[kSide + 3];
    for (int64_t x = 0; x < kSide + 3; ++x) {
      pixels[x] = static_cast<C>(from[x]);
    }
    for (int64_t x = 0; x < kSide; ++x) {
      rows[y][x] = across[0] * pixels[x] + across[1] * pixels[x + 1] + across[2] * pixels[x + 2] +
                   across[3] * pixels[x + 3];
    }
  }
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide; ++x) {
      block[y * kSide + x] = static_cast<T>(down[0] * rows[y][x] + down[1] * rows[y + 1][x] +
                                            down[2] * rows[y + 2][x] + down[3] * rows[y + 3][x]);
    }
  }
}

template <int kSide, typename T>
inline void warp_blocks(const BlockGrid& grid, int64_t row, const T* plane, T* output) {
  const int64_t top = row * kSide, height = std::min<int64_t>(kSide, grid.height - top);
  for (int64_t j = 0; j < grid.columns; ++j) {
    const int64_t at = row * grid.columns + j, left = j * kSide;
    const int64_t x = left + (grid.x[at] >> 3), y = top + (grid.y[at] >> 3);
    const int64_t part_x = grid.x[at] & 7, part_y = grid.y[at] & 7;
    T buffer[kSide * kSide];
    const bool interpolated = (part_x | part_y) != 0;
    if (interpolated) {
      interpolate_block<kSide>(grid, plane, y, x, part_x, part_y, buffer);
    }
    T* to = output + top * grid.width + left;
    for (int64_t i = 0; i < height; ++i, to += grid.width) {
      const T* from =
          interpolated ? buffer + i * kSide : pixels_at(grid, plane, y + i, x, kSide, buffer);
      if (left + kSide <= grid.width) {
        std::copy_n(from, kSide, to);
      } else {
        std::copy_n(from, grid.width - left, to);
      }
    }
  }
}

// The blocks of a row.
template <typename T>
void warp_row(const BlockGrid& grid, int64_t row, const T* plane, T* output) {
  switch (grid.side) {
    case 2:
      return warp_blocks<2>(grid, row, plane, output);
    case 4:
      return warp_blocks<4>(grid, row, plane, output);
    default:
      return warp_blocks<8>(grid, row, plane, output);
  }
}

// Adds values to pixels of a row from a column on; what lies beyond an edge, to the pixel there.
inline void add_to_row(const BlockGrid& grid, const GradientBand& band, int64_t row, int64_t column,
                       const double* values, int64_t count) {
  row = std::clamp<int64_t>(row, 0, grid.height - 1);
  if (row < band.begin || row >= band.end) {
    return;
  }
  double* to = band.sums + (row - band.begin) * grid.width;
  if (column >= 0 && column + count <= grid.width) {
    for (int64_t x = 0; x < count; ++x) {
      to[column + x] += values[x];
    }
    return;
  }
  for (int64_t x = 0; x < count; ++x) {
    to[std::clamp<int64_t>(column + x, 0, grid.width - 1)] += values[x];
  }
}

// The transpose of interpolate_block: grads, [kSide, kSide], on their way to where they were taken
// from.
template <int kSide>
inline void add_interpolated(const BlockGrid& grid, const GradientBand& band, int64_t row,
                             int64_t column, int64_t part_x, int64_t part_y, const double* grads) {
  double across[4], down[4], spread[kSide + 3][kSide] = {};
  catmull_rom(part_x, across);
  catmull_rom(part_y, down);
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t x = 0; x < kSide; ++x) {
        spread[y + i][x] += down[i] * grads[y * kSide + x];
      }
    }
  }
  for (int64_t y = 0; y < kSide + 3; ++y) {
    double values[kSide + 3] = {};
    for (int64_t k = 0; k < 4; ++k) {
      for (int64_t x = 0; x < kSide; ++x) {
        values[x + k] += across[k] * spread[y][x];
      }
    }
    add_to_row(grid, band, row + y - 1, column - 1, values, kSide + 3);
  }
}

template <int kSide, typename T>
inline void unwarp_blocks(const BlockGrid& grid, int64_t row, const T* grads,
                          const GradientBand& band) {
  const int64_t top = row * kSide, height = std::min<int64_t>(kSide, grid.height - top);
  for (int64_t j = 0; j < grid.columns; ++j) {
    const int64_t at = row * grid.columns + j, left = j * kSide;
    const int64_t width = std::min<int64_t>(kSide, grid.width - left);
    const int64_t x = left + (grid.x[at] >> 3), y = top + (grid.y[at] >> 3);
    const int64_t part_x = grid.x[at] & 7, part_y = grid.y[at] & 7;
    double block[kSide * kSide] = {};
    const T* from = grads + top * grid.width + left;
    for (int64_t i = 0; i < height; ++i) {
      for (int64_t k = 0; k < width; ++k) {
        block[i * kSide + k] = static_cast<double>(from[i * grid.width + k]);
      }
    }
    if ((part_x | part_y) != 0) {
      add_interpolated<kSide>(grid, band, y, x, part_x, part_y, block);
      continue;
    }
    for (int64_t i = 0; i < height; ++i) {
      add_to_row(grid, band, y + i, x, block + i * kSide, width);
    }
  }
}

// What rows of a plane get of the gradient of a warped one: sums in the order of the blocks, in
// float64 because a pixel at the border may get many.
template <typename T>
void unwarp_band(const BlockGrid& grid, const GradientBand& band, const T* grads, T* output) {
  const int64_t count = (band.end - band.begin) * grid.width;
  std::fill_n(band.sums, count, 0.0);
  for (int64_t row = 0; row < grid.rows; ++row) {
    const auto line = [&](int64_t y) { return std::clamp<int64_t>(y, 0, grid.height - 1); };
    const int64_t top = row * grid.side;
    if (line(top + grid.highest[row] - 1) >= band.end ||
        line(top + grid.lowest[row] + grid.side + 1) < band.begin) {
      continue;
    }
    switch (grid.side) {
      case 2:
        unwarp_blocks<2>(grid, row, grads, band);
        break;
      case 4:
        unwarp_blocks<4>(grid, row, grads, band);
        break;
      default:
        unwarp_blocks<8>(grid, row, grads, band);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    output[i] = static_cast<T>(static_cast<Computed<T>>(band.sums[i]));
  }
}

// The pixels that lie at some places of a plane.
template <typename T>
void fetch_pixels(const T* plane, const int32_t* places, int64_t count, T* output) {
  for (int64_t i = 0; i < count; ++i) {
    output[i] = plane[places[i]];
  }
}

// Its transpose for a plane of `count` pixels: what each gets of the gradients.
template <typename T>
void add_pixels(const T* grads, const int32_t* places, int64_t count, double* sums, T* output) {
  std::fill_n(sums, count, 0.0);
  for (int64_t i = 0; i < count; ++i) {
    sums[places[i]] += static_cast<double>(grads[i]);
  }
  for (int64_t i = 0; i < count; ++i) {
    output[i] = static_cast<T>(static_cast<Computed<T>>(sums[i]));
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
