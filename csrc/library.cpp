// The schema of every operator: the one list.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(vqe_fast, library) {
  // reduction: 0 none, 1 mean, 2 sum
  library.def("charbonnier_loss(Tensor input, Tensor target, float eps, int reduction) -> Tensor");
  library.def(
      "charbonnier_loss_backward(Tensor grad_output, Tensor input, Tensor target, float eps, "
      "int reduction) -> Tensor");
  // offset + weight * mean(1 - SSIM) + mse_weight * mean((input - target)^2), over all or per
  // plane, in float32 or float64, and its gradients where they are asked for, else empty tensors.
  // Windows lie in the image, or (same) one is centred at each pixel and sees zeros outside. c1 =
  // inf leaves the luminance out. Lists, because autograd's registration takes the longer for every
  // argument.
  //   constants: sigma, c1, c2, offset, weight, mse_weight
  //   choices: same, per_plane, grad_input, grad_target
  library.def(
      "ssim_mean(Tensor input, Tensor target, int window_size, float[] constants, "
      "bool[] choices) -> (Tensor, Tensor, Tensor)");
  //   constants: sigma, c1, c2
  library.def(
      "ssim_map(Tensor input, Tensor target, int window_size, float[] constants, bool same) "
      "-> Tensor");
  //   choices: same, grad_input, grad_target
  library.def(
      "ssim_map_backward(Tensor grad_output, Tensor input, Tensor target, int window_size, "
      "float[] constants, bool[] choices) -> (Tensor, Tensor)");
  // For every query the mean of the values, weighted by exp(scale * query * key); and two numbers
  // for the backward: about the largest query * key (of its negative for a scale below 0), and the
  // sum of exp(scale * query * key - |scale| * largest).
  library.def(
      "cross_frame_attention(Tensor query, Tensor key, Tensor value, float scale) "
      "-> (Tensor, Tensor)");
  // Gradients of query, key and value where they are needed, else empty tensors; in float32 or
  // float64.
  library.def(
      "cross_frame_attention_backward(Tensor grad_output, Tensor query, Tensor key, Tensor value, "
      "Tensor output, Tensor statistics, float scale, bool[] needed) -> (Tensor, Tensor, Tensor)");
  // The compute capability, times ten, of the code in the CUDA library that runs on like's device.
  library.def("cuda_arch(Tensor like) -> Tensor");
}
