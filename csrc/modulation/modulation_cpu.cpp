// Modulation on the CPU: splits planes into parts that share a row of gains, one thread to a part.
#include <algorithm>
#include <tuple>
#include <vector>

#include "common/cpu.h"
#include "modulation/modulation.h"

#define VQE_FAST_KERNELS "modulation/modulation-inl.h"
#include "simd/foreach_isa.h"

namespace vqe_fast {
namespace {

using baseline::Computed;
using torch::headeronly::MemoryFormat;

// Parts have a fixed size, so that sums do not depend on the number of threads.
constexpr int64_t kRows = 32, kValues = 16384;

// Gains whose gradients one thread adds up at least.
constexpr int64_t kGrain = 64;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How features are walked: as they lie if that is NCHW or channels_last, else as a copy in NCHW.
MemoryFormat format_of(const Tensor& features) {
  int64_t stride = 1;
  for (int dim : {1, 3, 2, 0}) {
    if (features.size(dim) != 1 && features.stride(dim) != stride) {
      return MemoryFormat::Contiguous;
    }
    stride *= features.size(dim);
  }
  return features.is_contiguous() ? MemoryFormat::Contiguous : MemoryFormat::ChannelsLast;
}

// The grid of features and gains, its parts, and where each part's sums of gradients go.
class Parts {
 public:
  Parts(const Tensor& features, const Tensor& gains, MemoryFormat format) {
    const int64_t channels = features.size(1);
    grid_ = {features.size(0), features.size(2), features.size(3), 1,
             gains.size(0),    gains.size(2),    gains.size(3),    nullptr};
    if (grid_.gain_rows == 1 && grid_.gain_columns == 1) {
      // One row, which splits into as many parts as it takes.
      grid_.columns *= grid_.rows;
      grid_.rows = 1;
    }
    if (format == MemoryFormat::ChannelsLast) {
      grid_.values = channels;
    } else {
      grid_.planes *= channels;
      grid_.gain_planes *= channels;
    }
    edges_.resize(grid_.gain_columns + 1);
    for (int64_t column = 0; column <= grid_.gain_columns; ++column) {
      edges_[column] = ceil_div(column * grid_.columns, grid_.gain_columns);
    }
    grid_.edges = edges_.data();
    part_columns_ = std::max<int64_t>(kValues / std::max<int64_t>(grid_.values, 1), 1);
    row_parts_ = ceil_div(ceil_div(grid_.rows, grid_.gain_rows), kRows);
    column_parts_ = ceil_div(grid_.columns, part_columns_);
  }

  Parts(const Parts&) = delete;

  const ModulationGrid& grid() const { return grid_; }

  int64_t count() const { return grid_.planes * grid_.gain_rows * row_parts_ * column_parts_; }

  ModulationPart operator[](int64_t part) const {
    const int64_t column = part % column_parts_ * part_columns_;
    const int64_t band = part / column_parts_ / row_parts_;
    const int64_t gain_row = band % grid_.gain_rows;
    const int64_t row = row_edge(gain_row) + part / column_parts_ % row_parts_ * kRows;
    return {band / grid_.gain_rows,
            gain_row,
            row,
            std::min(row + kRows, row_edge(gain_row + 1)),
            column,
            std::min(column + part_columns_, grid_.columns)};
  }

  // Parts that share a column of gains do not share the sums for it.
  int64_t sum_count() const { return count() / std::max<int64_t>(column_parts_, 1) * sum_row(); }

  int64_t first_sum(int64_t part) const {
    return part / column_parts_ * sum_row() + part % column_parts_ * grid_.values;
  }

  // The gradients of a row of gains: the sums of all parts for each, in their order.
  template <typename C>
  void add_up(const double* sums, int64_t row, C* gradients) const {
    const int64_t gain_row = row % grid_.gain_rows, value = row / grid_.gain_rows;
    const int64_t band = row_parts_ * sum_row();
    int64_t first_part = 0;
    for (int64_t column = 0; column < grid_.gain_columns; ++column) {
      while ((first_part + 1) * part_columns_ <= edges_[column]) {
        ++first_part;
      }
      double total = 0;
      for (int64_t plane = value / grid_.values; plane < grid_.planes; plane += grid_.gain_planes) {
        const double* from = sums + (plane * grid_.gain_rows + gain_row) * band;
        for (const double* end = from + band; from < end; from += sum_row()) {
          for (int64_t part = first_part; part * part_columns_ < edges_[column + 1]; ++part) {
            total += from[(column + part) * grid_.values + value % grid_.values];
          }
        }
      }
      gradients[column] = static_cast<C>(total);
    }
  }

 private:
  int64_t row_edge(int64_t gain_row) const {
    return ceil_div(gain_row * grid_.rows, grid_.gain_rows);
  }
  int64_t sum_row() const { return (grid_.gain_columns + column_parts_) * grid_.values; }

  ModulationGrid grid_;
  std::vector<int64_t> edges_;
  int64_t part_columns_, row_parts_, column_parts_;
};

template <typename T>
void forward(const Parts& parts, const Tensor& features, const Tensor& gains, double slope,
             Tensor& output) {
  using C = Computed<T>;
  const Modulation<T, C> call{parts.grid(), features.const_data_ptr<T>(), gains.const_data_ptr<C>(),
                              slope};
  T* values = output.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, parts.count(), 1, [&](int64_t begin, int64_t end) {
    const Scratch<C> gain_row(kModulationScratch);
    for (int64_t part = begin; part < end; ++part) {
      VQE_FAST_CALL(modulate<T>, call, parts[part], gain_row.get(), values);
    }
  });
}

template <typename T>
void backward(const Parts& parts, const Tensor& grad_output, const Tensor& features,
              const Tensor& gains, double slope, const std::vector<bool>& needed,
              Tensor& grad_features, Tensor& grad_gains) {
  using C = Computed<T>;
  const Modulation<T, C> call{parts.grid(), features.const_data_ptr<T>(), gains.const_data_ptr<C>(),
                              slope};
  const T* grads = grad_output.const_data_ptr<T>();
  T* values = needed[0] ? grad_features.mutable_data_ptr<T>() : nullptr;
  Tensor sums = on_large_pages(
      torch::stable::new_empty(gains, {needed[1] ? parts.sum_count() : 0}, ScalarType::Double));
  double* all_sums = sums.mutable_data_ptr<double>();
  torch::stable::parallel_for(0, parts.count(), 1, [&](int64_t begin, int64_t end) {
    const Scratch<C> gain_row(kModulationScratch);
    const Scratch<double> products(kModulationScratch);
    for (int64_t part = begin; part < end; ++part) {
      double* sum = needed[1] ? all_sums + parts.first_sum(part) : nullptr;
      VQE_FAST_CALL(modulate_backward<T>, call, parts[part], grads, gain_row.get(), products.get(),
                    values, sum);
    }
  });
  if (needed[1]) {
    C* gradients = grad_gains.mutable_data_ptr<C>();
    const int64_t columns = gains.size(3), rows = gains.numel() / columns;
    const int64_t grain = std::max<int64_t>(kGrain / columns, 1);
    torch::stable::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        parts.add_up(all_sums, row, gradients + row * columns);
      }
    });
  }
}

void check(const Tensor& features, const Tensor& gains, const std::vector<double>& slope) {
  const bool is_double = features.scalar_type() == ScalarType::Double;
  STD_TORCH_CHECK(gains.scalar_type() == (is_double ? ScalarType::Double : ScalarType::Float),
                  "qp_modulate takes gains in float64 for features in float64, else in float32");
  STD_TORCH_CHECK(features.dim() == 4 && gains.dim() == 4 && gains.size(1) == features.size(1) &&
                      (gains.size(0) == 1 || gains.size(0) == features.size(0)),
                  "qp_modulate takes gains for the features' batch, or 1, and channels");
  for (int dim : {2, 3}) {
    STD_TORCH_CHECK(
        1 <= gains.size(dim) && gains.size(dim) <= std::max<int64_t>(features.size(dim), 1),
        "qp_modulate takes a map of gains that is no larger than the features");
  }
  STD_TORCH_CHECK(slope.size() <= 1, "qp_modulate takes at most one slope");
}

double slope_of(const std::vector<double>& slope) { return slope.empty() ? 1 : slope[0]; }

Tensor qp_modulate(const Tensor& features, const Tensor& gains, const std::vector<double>& slope) {
  check(features, gains, slope);
  const MemoryFormat format = format_of(features);
  const Tensor x = torch::stable::contiguous(features, format);
  const Tensor v = torch::stable::contiguous(gains, format);
  Tensor output = on_large_pages(torch::stable::empty_like(x));
  const Parts parts(x, v, format);
  THO_DISPATCH_V2(x.scalar_type(), "qp_modulate",
                  AT_WRAP([&] { forward<scalar_t>(parts, x, v, slope_of(slope), output); }),
                  VQE_FAST_FLOAT_TYPES);
  return output;
}

std::tuple<Tensor, Tensor> qp_modulate_backward(const Tensor& grad_output, const Tensor& features,
                                                const Tensor& gains,
                                                const std::vector<double>& slope,
                                                const std::vector<bool>& needed) {
  check(features, gains, slope);
  STD_TORCH_CHECK(needed.size() == 2, "qp_modulate_backward has two gradients");
  const MemoryFormat format = format_of(features);
  const Tensor x = torch::stable::contiguous(features, format);
  const Tensor v = torch::stable::contiguous(gains, format);
  const Tensor g = torch::stable::contiguous(grad_output, format);
  Tensor grad_features =
      needed[0] ? on_large_pages(torch::stable::empty_like(x)) : torch::stable::new_empty(x, {0});
  Tensor grad_gains = needed[1] ? on_large_pages(torch::stable::new_empty(v, gains.sizes()))
                                : torch::stable::new_empty(v, {0});
  const Parts parts(x, v, format);
  THO_DISPATCH_V2(x.scalar_type(), "qp_modulate_backward", AT_WRAP([&] {
                    backward<scalar_t>(parts, g, x, v, slope_of(slope), needed, grad_features,
                                       grad_gains);
                  }),
                  VQE_FAST_FLOAT_TYPES);
  return {grad_features, grad_gains};
}

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  library.impl("qp_modulate", TORCH_BOX(&vqe_fast::qp_modulate));
  library.impl("qp_modulate_backward", TORCH_BOX(&vqe_fast::qp_modulate_backward));
}
