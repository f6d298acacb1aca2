// Modulation of one part of a plane.
#if defined(VQE_FAST_MODULATION_MODULATION_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_MODULATION_MODULATION_INL_H_
#undef VQE_FAST_MODULATION_MODULATION_INL_H_
#else
#define VQE_FAST_MODULATION_MODULATION_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "modulation/modulation.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// What activation makes of a feature's value, or of a gradient on its way back to a feature.
template <typename C>
inline C activated(C feature, C value, C slope) {
  const C negative = slope == 0 ? C{0} : slope * value;  // of -infinity too
  return feature <= 0 ? negative : value;
}

// Calls run(gain column, begin, end, channel of begin) for those of count values of a row, from its
// value `first` on, that share a column of gains.
template <typename Run>
inline void for_each_gain_column(const ModulationGrid& grid, int64_t first, int64_t count,
                                 const Run& run) {
  int64_t column = first / grid.values * grid.gain_columns / grid.columns;
  for (int64_t begin = 0; begin < count; ++column) {
    const int64_t end = std::min(count, grid.edges[column + 1] * grid.values - first);
    run(column, begin, end, (first + begin) % grid.values);
    begin = end;
  }
}

// The gains of count values of a row, [gain columns, values], and zeros up to the end of a block.
template <typename C>
inline void expand_gains(const ModulationGrid& grid, const C* gains, int64_t first, int64_t count,
                         C* row) {
  const auto expand = [&](int64_t column, int64_t begin, int64_t end, int64_t channel) {
    const C* pixel = gains + column * grid.values;
    int64_t done = std::min(grid.values - channel, end - begin);
    for (int64_t i = 0; i < done; ++i) {
      row[begin + i] = pixel[channel + i];
    }
    // With what of the pixel lies before its part: one of each value, which is then repeated.
    const int64_t rest = std::min(channel, end - begin - done);
    for (int64_t i = 0; i < rest; ++i) {
      row[begin + done + i] = pixel[i];
    }
    for (done += rest; done < end - begin; done *= 2) {
      std::copy_n(row + begin, std::min(done, end - begin - done), row + begin + done);
    }
  };
  for_each_gain_column(grid, first, count, expand);
  std::fill(row + count, row + (count + kBlock - 1) / kBlock * kBlock, C{0});
}

// A fixed order of additions that does not wait for each of them.
inline double sum_of(const double* values, int64_t count) {
  constexpr int kLanes = 16;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += values[i + lane];
    }
  }
  double total = 0;
  for (int lane = 0; lane < kLanes && count >= kLanes; ++lane) {
    total += sums[lane];
  }
  for (; i < count; ++i) {
    total += values[i];
  }
  return total;
}

// Adds a row of values to the sums of their gains, [gain columns, values].
inline void add_to_gains(const ModulationGrid& grid, const double* row, int64_t first,
                         int64_t count, double* sums) {
  const auto add = [&](int64_t column, int64_t begin, int64_t end, int64_t channel) {
    double* sum = sums + column * grid.values;
    if (grid.values == 1) {
      *sum += sum_of(row + begin, end - begin);
      return;
    }
    while (begin < end) {
      const int64_t pixel = std::min(grid.values - channel, end - begin);
      for (int64_t i = 0; i < pixel; ++i) {
        sum[channel + i] += row[begin + i];
      }
      begin += pixel;
      channel = 0;
    }
  };
  for_each_gain_column(grid, first, count, add);
}

// Calls run(first, count) for the chunks of the part's rows, values from the first on, when their
// gains are in gain_row.
template <typename T, typename C, typename Run>
inline void for_each_chunk(const Modulation<T, C>& call, const ModulationPart& part, C* gain_row,
                           const Run& run) {
  const ModulationGrid& grid = call.grid;
  const int64_t chunk = std::max<int64_t>(kModulationChunk / grid.values, 1) * grid.values;
  const int64_t size = std::min(chunk, kModulationChunk);
  const int64_t end = part.column_end * grid.values;
  const int64_t plane = part.plane % grid.gain_planes;
  const int64_t gain_row_size = grid.gain_columns * grid.values;
  const C* gains = call.gains + (plane * grid.gain_rows + part.gain_row) * gain_row_size;
  for (int64_t first = part.column_begin * grid.values; first < end; first += size) {
    const int64_t count = std::min(size, end - first);
    expand_gains(grid, gains, first, count, gain_row);
    run(first, count);
  }
}

template <typename T>
void modulate(const Modulation<T, Computed<T>>& call, const ModulationPart& part,
              Computed<T>* gain_row, T* output) {
  using C = Computed<T>;
  const ModulationGrid& grid = call.grid;
  const C slope = static_cast<C>(call.slope);
  for_each_chunk(call, part, gain_row, [&](int64_t first, int64_t count) {
    C x[kBlock];
    for (int64_t row = part.row_begin; row < part.row_end; ++row) {
      const int64_t at = (part.plane * grid.rows + row) * grid.columns * grid.values + first;
      for (int64_t i = 0; i < count; i += kBlock) {
        load(call.features + at + i, count - i, x);
        for (int lane = 0; lane < kBlock; ++lane) {
          x[lane] = activated(x[lane], x[lane], slope) * gain_row[i + lane];
        }
        store(x, count - i, output + at + i);
      }
    }
  });
}

// The gradient of the features unless it is null; and unless sums is null, what the part adds to
// the gradients of its row of gains, [gain columns, values], where it reaches them.
template <typename T>
void modulate_backward(const Modulation<T, Computed<T>>& call, const ModulationPart& part,
                       const T* grad_output, Computed<T>* gain_row, double* products,
                       T* grad_features, double* sums) {
  using C = Computed<T>;
  const ModulationGrid& grid = call.grid;
  const C slope = static_cast<C>(call.slope);
  if (sums != nullptr && part.column_begin < part.column_end) {
    const int64_t column = part.column_begin * grid.gain_columns / grid.columns;
    const int64_t last = (part.column_end - 1) * grid.gain_columns / grid.columns;
    std::fill(sums + column * grid.values, sums + (last + 1) * grid.values, 0.0);
  }
  for_each_chunk(call, part, gain_row, [&](int64_t first, int64_t count) {
    std::fill_n(products, (count + kBlock - 1) / kBlock * kBlock, 0.0);
    C x[kBlock], grad[kBlock];
    for (int64_t row = part.row_begin; row < part.row_end; ++row) {
      const int64_t at = (part.plane * grid.rows + row) * grid.columns * grid.values + first;
      for (int64_t i = 0; i < count; i += kBlock) {
        load(call.features + at + i, count - i, x);
        load(grad_output + at + i, count - i, grad);
        if (sums != nullptr) {
          for (int lane = 0; lane < kBlock; ++lane) {
            products[i + lane] += grad[lane] * activated(x[lane], x[lane], slope);
          }
        }
        if (grad_features != nullptr) {
          for (int lane = 0; lane < kBlock; ++lane) {
            grad[lane] = activated(x[lane], grad[lane] * gain_row[i + lane], slope);
          }
          store(grad, count - i, grad_features + at + i);
        }
      }
    }
    if (sums != nullptr) {
      add_to_gains(grid, products, first, count, sums);
    }
  });
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
