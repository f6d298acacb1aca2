// Gains of QPs, and the gradients of what they come from, in float64.
#if defined(VQE_FAST_MODULATION_MODULATION_GAINS_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_MODULATION_MODULATION_GAINS_INL_H_
#undef VQE_FAST_MODULATION_MODULATION_GAINS_INL_H_
#else
#define VQE_FAST_MODULATION_MODULATION_GAINS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "modulation/modulation.h"
#include "simd/blocks-inl.h"
#include "simd/exp2-inl.h"
#include "simd/isa_level.h"
#include "simd/vector-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// log(1 + y) for 0 <= y <= 1: twice the series of artanh at s = y / (2 + y), s <= 1/3.
template <int kTerms>
inline Vector<double> log_one_plus(Vector<double> y) {
  const Vector<double> s = y / (2 + y), squared = s * s;
  Vector<double> sum = {};
#pragma GCC unroll 20
  for (int i = kTerms - 1; i >= 0; --i) {
    sum = sum * squared + 1.0 / (2 * i + 1);
  }
  return 2 * s * sum;
}

// As exact as results of type C can show. Above 20 the identity, as PyTorch's.
template <typename C>
struct Softplus {
  static constexpr int kDegree = sizeof(C) == 4 ? 7 : 13, kTerms = sizeof(C) == 4 ? 9 : 17;
  static constexpr double kThreshold = 20;

  static Vector<double> exponential(Vector<double> z) {  // of -|z|
    constexpr double kLog2E = 1.44269504088896340736;
    return exp2<kDegree, double>((z < 0 ? z : -z) * kLog2E);
  }

  static Vector<double> value(Vector<double> z) {
    const Vector<double> positive = z > 0 ? z : Vector<double>{};
    return z > kThreshold ? z : positive + log_one_plus<kTerms>(exponential(z));
  }

  static Vector<double> slope(Vector<double> z) {
    const Vector<double> one = Vector<double>{} + 1, y = exponential(z);
    return z > kThreshold ? one : (z < 0 ? y : one) / (1 + y);
  }
};

// One channel of a table; the row after the last is a copy that weighs nothing.
template <typename T>
class TableColumn {
 public:
  TableColumn(const QPGains<T>& call, int64_t channel) : bias_(double(call.bias[channel])) {
    for (int64_t row = 0; row < call.table_rows; ++row) {
      values_[row] = static_cast<double>(call.table[row * call.channels + channel]);
    }
    values_[call.table_rows] = values_[call.table_rows - 1];
  }

  // What softplus is taken of at so many positions.
  void interpolate(const int32_t* rows, const double* parts, int64_t count, double* z) const {
    for (int64_t i = 0; i < count; ++i) {
      z[i] = values_[rows[i]] * (1 - parts[i]) + values_[rows[i] + 1] * parts[i] + bias_;
    }
  }

 private:
  double bias_;
  double values_[kQPs + 1];
};

// A channel of one image's gains.
template <typename T>
void qp_gains(const QPGains<T>& call, int64_t image, int64_t channel, T* gains) {
  using C = Computed<T>;
  const TableColumn<T> column(call, channel);
  double z[kBlock] = {};
  C values[kBlock];
  for (int64_t i = 0; i < call.positions; i += kBlock) {
    const int64_t count = std::min<int64_t>(call.positions - i, kBlock);
    const int64_t at = image * call.positions + i;
    column.interpolate(call.rows + at, call.parts + at, count, z);
    for (int lane = 0; lane < count; lane += VectorOf<double>::lanes) {
      store_vector<double>(Softplus<C>::value(load_vector(z + lane)), z + lane);
    }
    for (int lane = 0; lane < kBlock; ++lane) {
      values[lane] = static_cast<C>(z[lane]);
    }
    store(values, count, gains + i);
  }
}

// Gradients of a channel of the table and of its bias.
template <typename T>
void qp_gains_backward(const QPGains<T>& call, int64_t channel, const T* grad_output, T* grad_table,
                       T* grad_bias) {
  using C = Computed<T>;
  const TableColumn<T> column(call, channel);
  double sums[kQPs + 1] = {};
  double z[kBlock] = {};
  C grads[kBlock];
  for (int64_t image = 0; image < call.batch; ++image) {
    const T* grad_image = grad_output + (image * call.channels + channel) * call.positions;
    for (int64_t i = 0; i < call.positions; i += kBlock) {
      const int64_t count = std::min<int64_t>(call.positions - i, kBlock);
      const int64_t at = image * call.positions + i;
      column.interpolate(call.rows + at, call.parts + at, count, z);
      for (int lane = 0; lane < count; lane += VectorOf<double>::lanes) {
        store_vector<double>(Softplus<C>::slope(load_vector(z + lane)), z + lane);
      }
      load(grad_image + i, count, grads);
      for (int64_t lane = 0; lane < count; ++lane) {
        const double grad = grads[lane] * z[lane], part = call.parts[at + lane];
        double* sum = sums + call.rows[at + lane];
        sum[0] += grad * (1 - part);
        sum[1] += grad * part;
      }
    }
  }
  double total = 0;
  for (int64_t row = 0; row < call.table_rows; ++row) {
    grad_table[row * call.channels + channel] = static_cast<T>(static_cast<C>(sums[row]));
    total += sums[row];
  }
  grad_bias[channel] = static_cast<T>(static_cast<C>(total));
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
