// The schema of every operator: the one list.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(vqe_fast, library) {
  // reduction: 0 none, 1 mean, 2 sum
  library.def("charbonnier_loss(Tensor input, Tensor target, float eps, int reduction) -> Tensor");
  library.def(
      "charbonnier_loss_backward(Tensor grad_output, Tensor input, Tensor target, float eps, "
      "int reduction) -> Tensor");
  // The compute capability, times ten, of the code in the CUDA library that runs on like's device.
  library.def("cuda_arch(Tensor like) -> Tensor");
}
