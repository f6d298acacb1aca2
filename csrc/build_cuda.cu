// Tells which of the architectures that the CUDA library was built for runs on a device: the
// first thing to know when a kernel does not start.
#include "common/cuda.h"

namespace vqe_fast {
namespace {

__global__ void write_arch(int* arch) {
#if defined(__CUDA_ARCH__)
  *arch = __CUDA_ARCH__ / 10;
#endif
}

Tensor cuda_arch(const Tensor& like) {
  const DeviceGuard guard(like.get_device_index());
  Tensor arch = torch::stable::new_empty(like, {}, ScalarType::Int);
  write_arch<<<1, 1, 0, current_stream(like)>>>(arch.mutable_data_ptr<int>());
  STD_CUDA_KERNEL_LAUNCH_CHECK();
  return arch;
}

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CUDA, library) {
  library.impl("cuda_arch", TORCH_BOX(&vqe_fast::cuda_arch));
}
