// Gains of QPs on the CPU: one thread to a channel.
#include <algorithm>
#include <tuple>
#include <vector>

#include "common/cpu.h"
#include "modulation/modulation.h"

#define VQE_FAST_KERNELS "modulation/modulation_gains-inl.h"
#include "simd/foreach_isa.h"

namespace vqe_fast {
namespace {

// The rows of the table around each QP, and how far from the lower to the upper it lies.
struct Places {
  std::vector<int32_t> rows;
  std::vector<double> parts;

  Places(const Tensor& qp, const std::vector<double>& qps) {
    const double* values = qp.const_data_ptr<double>();
    for (int64_t i = 0; i < qp.numel(); ++i) {
      STD_TORCH_CHECK(0 <= values[i] && values[i] <= kQPs - 1, "qp must lie in 0 to 63, got ",
                      values[i]);
      const auto above = std::upper_bound(qps.begin() + 1, qps.end(), values[i]);
      const double lower = *(above - 1);
      rows.push_back(static_cast<int32_t>(above - 1 - qps.begin()));
      const bool between = above != qps.end() && values[i] > lower;
      parts.push_back(between ? (values[i] - lower) / (*above - lower) : 0);
    }
  }
};

void check(const Tensor& qp, const Tensor& table, const Tensor& bias,
           const std::vector<double>& qps) {
  STD_TORCH_CHECK(qp.scalar_type() == ScalarType::Double && (qp.dim() == 1 || qp.dim() == 3),
                  "qp_gains takes QPs (B) or (B, h, w) in float64");
  STD_TORCH_CHECK(table.dim() == 2 && bias.dim() == 1 && bias.size(0) == table.size(1) &&
                      bias.scalar_type() == table.scalar_type(),
                  "qp_gains takes a bias for each column of the table, in its dtype");
  STD_TORCH_CHECK(
      1 <= qps.size() && qps.size() <= kQPs && static_cast<int64_t>(qps.size()) == table.size(0),
      "qp_gains takes a QP for each row of the table, at most 64");
}

// Shapes and values of tensors that are contiguous.
template <typename T>
QPGains<T> call_of(const Tensor& qp, const Places& places, const Tensor& table,
                   const Tensor& bias) {
  const int64_t positions = qp.dim() == 3 ? qp.size(1) * qp.size(2) : 1;
  return {qp.size(0),    positions,     places.rows.data(),        places.parts.data(),
          table.size(0), table.size(1), table.const_data_ptr<T>(), bias.const_data_ptr<T>()};
}

// Gains that a thread computes at least.
constexpr int64_t kGrain = 4096;

template <typename T>
void forward(const QPGains<T>& call, Tensor& output) {
  T* gains = output.mutable_data_ptr<T>();
  const int64_t grain = std::max<int64_t>(kGrain / std::max<int64_t>(call.positions, 1), 1);
  torch::stable::parallel_for(0, call.batch * call.channels, grain,
                              [&](int64_t begin, int64_t end) {
                                for (int64_t i = begin; i < end; ++i) {
                                  VQE_FAST_CALL(qp_gains<T>, call, i / call.channels,
                                                i % call.channels, gains + i * call.positions);
                                }
                              });
}

template <typename T>
void backward(const QPGains<T>& call, const Tensor& grad_output, Tensor& grad_table,
              Tensor& grad_bias) {
  const T* grads = grad_output.const_data_ptr<T>();
  T* of_table = grad_table.mutable_data_ptr<T>();
  T* of_bias = grad_bias.mutable_data_ptr<T>();
  const int64_t size = std::max<int64_t>(call.batch * call.positions, 1);
  torch::stable::parallel_for(
      0, call.channels, std::max<int64_t>(kGrain / size, 1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          VQE_FAST_CALL(qp_gains_backward<T>, call, i, grads, of_table, of_bias);
        }
      });
}

Tensor qp_gains(const Tensor& qp, const Tensor& table, const Tensor& bias,
                const std::vector<double>& qps) {
  check(qp, table, bias, qps);
  const Tensor q = torch::stable::contiguous(qp);
  const Tensor rows = torch::stable::contiguous(table), b = torch::stable::contiguous(bias);
  const Places places(q, qps);
  std::vector<int64_t> shape{q.size(0), rows.size(1)};
  if (q.dim() == 3) {
    shape.insert(shape.end(), {q.size(1), q.size(2)});
  }
  Tensor output = torch::stable::new_empty(rows, shape);
  THO_DISPATCH_V2(rows.scalar_type(), "qp_gains",
                  AT_WRAP([&] { forward(call_of<scalar_t>(q, places, rows, b), output); }),
                  VQE_FAST_FLOAT_TYPES);
  return output;
}

std::tuple<Tensor, Tensor> qp_gains_backward(const Tensor& grad_output, const Tensor& qp,
                                             const Tensor& table, const Tensor& bias,
                                             const std::vector<double>& qps) {
  check(qp, table, bias, qps);
  const Tensor g = torch::stable::contiguous(grad_output);
  const Tensor q = torch::stable::contiguous(qp);
  const Tensor rows = torch::stable::contiguous(table), b = torch::stable::contiguous(bias);
  const Places places(q, qps);
  Tensor grad_table = torch::stable::empty_like(rows);
  Tensor grad_bias = torch::stable::empty_like(b);
  THO_DISPATCH_V2(rows.scalar_type(), "qp_gains_backward", AT_WRAP([&] {
                    backward(call_of<scalar_t>(q, places, rows, b), g, grad_table, grad_bias);
                  }),
                  VQE_FAST_FLOAT_TYPES);
  return {grad_table, grad_bias};
}

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  library.impl("qp_gains", TORCH_BOX(&vqe_fast::qp_gains));
  library.impl("qp_gains_backward", TORCH_BOX(&vqe_fast::qp_gains_backward));
}
