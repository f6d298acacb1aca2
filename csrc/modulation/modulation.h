// What the launchers of modulation hand to the CPU kernels: plain structures, the same at every ISA
// level.
#pragma once

#include <cstdint>

namespace vqe_fast {

// Features are planes of rows of pixels of values. In NCHW a plane is a channel of an image and has
// one value at a pixel; in channels_last it is an image and has all of its channels there.
//
// The gains of a plane are [gain_rows, gain_columns, values]; those of plane p are the
// (p % gain_planes)-th. Pixel (y, x) takes the gain at
// (y * gain_rows / rows, x * gain_columns / columns).
struct ModulationGrid {
  int64_t planes, rows, columns, values;
  int64_t gain_planes, gain_rows, gain_columns;
  const int64_t* edges;  // [gain_columns + 1]: the first column of pixels that takes each of them
};

// Rows and columns of a plane that share a row of gains.
struct ModulationPart {
  int64_t plane, gain_row, row_begin, row_end, column_begin, column_end;
};

// Values of a row that are taken at once; what a kernel keeps of them ends with a whole block.
constexpr int64_t kModulationChunk = 2048;
constexpr int64_t kModulationScratch = kModulationChunk + 64;

template <typename T, typename C>
struct Modulation {
  ModulationGrid grid;
  const T* features;
  const C* gains;
  double slope;  // factor of negative features
};

// The QPs that there are, 0 to 63; a table has a row for each at most.
constexpr int64_t kQPs = 64;

// Gains are softplus(bias + row), where the row at position i is between rows[i] and the next one
// of the table, as far as parts[i] says.
template <typename T>
struct QPGains {
  int64_t batch, positions;  // of one image
  const int32_t* rows;       // [batch, positions]
  const double* parts;       // [batch, positions]
  int64_t table_rows, channels;
  const T* table;  // [table_rows, channels]
  const T* bias;   // [channels]
};

}  // namespace vqe_fast
