// Charbonnier loss on the CPU: splits the range, one thread to a part.
#include <algorithm>
#include <tuple>
#include <vector>

#include "common/cpu.h"

#define VQE_FAST_KERNELS "charbonnier/charbonnier-inl.h"
#include "simd/foreach_isa.h"

namespace vqe_fast {
namespace {

// Parts have a fixed size, so that sums do not depend on the number of threads.
constexpr int64_t kPart = 16384;

template <typename F>
void for_each_part(int64_t count, const F& run) {
  const int64_t parts = (count + kPart - 1) / kPart;
  torch::stable::parallel_for(0, parts, 2, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t start = part * kPart;
      run(part, start, std::min(kPart, count - start));
    }
  });
}

template <typename T>
void reduce(const Tensor& input, const Tensor& target, double eps, bool mean, Tensor& output,
            Tensor& grad_input) {
  const T* x = input.const_data_ptr<T>();
  const T* y = target.const_data_ptr<T>();
  T* gradient = grad_input.mutable_data_ptr<T>();
  const bool wanted = grad_input.numel() > 0;
  const int64_t count = input.numel();
  const double grad = mean ? 1.0 / static_cast<double>(count) : 1.0;
  std::vector<double> sums((count + kPart - 1) / kPart);
  for_each_part(count, [&](int64_t part, int64_t start, int64_t size) {
    if (wanted) {
      VQE_FAST_CALL(charbonnier_sum_and_gradient<T>, x + start, y + start, grad, size, eps,
                    &sums[part], gradient + start);
    } else {
      VQE_FAST_CALL(charbonnier_sum<T>, x + start, y + start, size, eps, &sums[part]);
    }
  });
  double total = 0;
  for (double sum : sums) {
    total += sum;
  }
  const double result = mean ? total / static_cast<double>(count) : total;
  *output.mutable_data_ptr<T>() = static_cast<T>(static_cast<baseline::Computed<T>>(result));
}

template <typename T>
void map(const Tensor& input, const Tensor& target, double eps, Tensor& output) {
  const T* x = input.const_data_ptr<T>();
  const T* y = target.const_data_ptr<T>();
  T* values = output.mutable_data_ptr<T>();
  for_each_part(input.numel(), [&](int64_t, int64_t start, int64_t size) {
    VQE_FAST_CALL(charbonnier_map<T>, x + start, y + start, size, eps, values + start);
  });
}

template <typename T>
void gradient(const Tensor& grad_output, const Tensor& input, const Tensor& target, double eps,
              Reduction reduction, Tensor& grad_input) {
  const T* g = grad_output.const_data_ptr<T>();
  const T* x = input.const_data_ptr<T>();
  const T* y = target.const_data_ptr<T>();
  T* values = grad_input.mutable_data_ptr<T>();
  const int64_t count = input.numel();
  if (reduction == Reduction::none) {
    for_each_part(count, [&](int64_t, int64_t start, int64_t size) {
      VQE_FAST_CALL(charbonnier_gradient<T>, g + start, 1.0, x + start, y + start, size, eps,
                    values + start);
    });
    return;
  }
  const double divisor = reduction == Reduction::mean ? static_cast<double>(count) : 1.0;
  const double grad = static_cast<double>(*g) / divisor;
  for_each_part(count, [&](int64_t, int64_t start, int64_t size) {
    VQE_FAST_CALL(charbonnier_gradient<T>, nullptr, grad, x + start, y + start, size, eps,
                  values + start);
  });
}

std::tuple<Tensor, Tensor> charbonnier_loss(const Tensor& input, const Tensor& target, double eps,
                                            int64_t reduction, bool wanted) {
  const Tensor x = torch::stable::contiguous(input);
  const Tensor y = torch::stable::contiguous(target);
  if (static_cast<Reduction>(reduction) == Reduction::none) {
    Tensor output = on_large_pages(torch::stable::new_empty(x, x.sizes()));
    THO_DISPATCH_V2(x.scalar_type(), "charbonnier_loss",
                    AT_WRAP([&] { map<scalar_t>(x, y, eps, output); }), VQE_FAST_FLOAT_TYPES);
    return {output, torch::stable::new_empty(x, {0})};
  }
  const bool mean = static_cast<Reduction>(reduction) == Reduction::mean;
  Tensor output = torch::stable::new_empty(x, {});
  Tensor grad_input = wanted ? on_large_pages(torch::stable::new_empty(x, x.sizes()))
                             : torch::stable::new_empty(x, {0});
  THO_DISPATCH_V2(x.scalar_type(), "charbonnier_loss",
                  AT_WRAP([&] { reduce<scalar_t>(x, y, eps, mean, output, grad_input); }),
                  VQE_FAST_FLOAT_TYPES);
  return {output, grad_input};
}

Tensor charbonnier_loss_backward(const Tensor& grad_output, const Tensor& input,
                                 const Tensor& target, double eps, int64_t reduction) {
  const Tensor g = torch::stable::contiguous(grad_output);
  const Tensor x = torch::stable::contiguous(input);
  const Tensor y = torch::stable::contiguous(target);
  Tensor grad_input = on_large_pages(torch::stable::new_empty(x, x.sizes()));
  THO_DISPATCH_V2(x.scalar_type(), "charbonnier_loss_backward", AT_WRAP([&] {
                    gradient<scalar_t>(g, x, y, eps, static_cast<Reduction>(reduction), grad_input);
                  }),
                  VQE_FAST_FLOAT_TYPES);
  return grad_input;
}

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  library.impl("charbonnier_loss", TORCH_BOX(&vqe_fast::charbonnier_loss));
  library.impl("charbonnier_loss_backward", TORCH_BOX(&vqe_fast::charbonnier_loss_backward));
}
