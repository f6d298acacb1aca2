// The schema of every operator: the one list.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(vqe_fast, library) {
  // reduction: 0 none, 1 mean, 2 sum. The loss; and of a mean or sum the gradient of the input
  // where it is wanted, else an empty tensor.
  library.def(
      "charbonnier_loss(Tensor input, Tensor target, float eps, int reduction, bool wanted) "
      "-> (Tensor, Tensor)");
  library.def(
      "charbonnier_loss_backward(Tensor grad_output, Tensor input, Tensor target, float eps, "
      "int reduction) -> Tensor");
  // offset + weight * mean(1 - SSIM) + mse_weight * mean((input - target)^2), over all or per
  // plane, in float32 or float64, and its gradients where they are asked for, else empty tensors.
  // Windows lie in the image, or (same) one is centred at each pixel and sees zeros outside. A c1
  // below 0 leaves the luminance out: infinity, its limit, is no number of JSON, in which exported
  // graphs are written. Choices are 0 or 1: torch.jit.trace takes no list of bools.
  //   constants: sigma, c1, c2, offset, weight, mse_weight
  //   choices: same, per_plane, grad_input, grad_target
  library.def(
      "ssim_mean(Tensor input, Tensor target, int window_size, float[] constants, "
      "int[] choices) -> (Tensor, Tensor, Tensor)");
  //   constants: sigma, c1, c2
  library.def(
      "ssim_map(Tensor input, Tensor target, int window_size, float[] constants, bool same) "
      "-> Tensor");
  //   choices: same, grad_input, grad_target
  library.def(
      "ssim_map_backward(Tensor grad_output, Tensor input, Tensor target, int window_size, "
      "float[] constants, bool[] choices) -> (Tensor, Tensor)");
  // For every query the mean of the values, weighted by exp(scale * query * key); and lse, which
  // the backward needs. On a CPU that is two numbers: about the largest query * key (of its
  // negative for a scale below 0), and the sum of exp(scale * query * key - |scale| * largest). On
  // a GPU it is one: the logarithm to base 2 of the sum of exp(scale * query * key).
  library.def(
      "cross_frame_attention(Tensor query, Tensor key, Tensor value, float scale) "
      "-> (Tensor, Tensor)");
  // Gradients of query, key and value where they are needed, else empty tensors; in float32 or
  // float64.
  library.def(
      "cross_frame_attention_backward(Tensor grad_output, Tensor query, Tensor key, Tensor value, "
      "Tensor output, Tensor lse, float scale, bool[] needed) -> (Tensor, Tensor, Tensor)");
  // Variance of the luma of frames (B, 1 or 3, H, W) over the windows of a radius around each
  // pixel, as far as they lie in the frame, in float32 or float64; and the least and the largest of
  // it, (B, 2), in each frame and its neighbours, of which there are at most two. A frame that has
  // none is its own: packages of AOTInductor cannot hold an empty list.
  library.def("local_variance(Tensor frames, Tensor[] neighbours, int radius) -> (Tensor, Tensor)");
  library.def("local_variance_backward(Tensor grad_output, Tensor frames, int radius) -> Tensor");
  // smooth + mask (detail - smooth), sharpened by unsharp_mask. With (B, 2) the bounds of three
  // frames' variances, mask = (variance - low) / (high - low).
  library.def(
      "astf_fuse(Tensor detail, Tensor smooth, Tensor variance, Tensor bounds, float amount, "
      "float[] taps) -> Tensor");
  // Gradients of detail and smooth where they are needed, else empty tensors.
  library.def(
      "astf_fuse_backward(Tensor grad_output, Tensor variance, Tensor bounds, float amount, "
      "float[] taps, bool[] needed) -> (Tensor, Tensor)");
  // frames + amount (frames - blur), where taps blur along either side, mirrored at the border; or
  // its transpose, which is its derivative.
  library.def("unsharp_mask(Tensor frames, float amount, float[] taps, bool transposed) -> Tensor");
  // activation(features) * gains, with nearest-expanded gains (B or 1, C, h, w) in float32, or in
  // float64 for float64. slope is the factor of negative features, 0 for ReLU; without one there is
  // no activation. The backward gives the gradients that are needed, else empty tensors.
  library.def("qp_modulate(Tensor features, Tensor gains, float[] slope) -> Tensor");
  library.def(
      "qp_modulate_backward(Tensor grad_output, Tensor features, Tensor gains, float[] slope, "
      "bool[] needed) -> (Tensor, Tensor)");
  // softplus of bias plus the row of the table (N, C) at each QP: (B) -> (B, C), or (B, h, w) ->
  // (B, C, h, w). qps are the QPs of the rows; between them rows are interpolated. qp is float64.
  library.def("qp_gains(Tensor qp, Tensor table, Tensor bias, float[] qps) -> Tensor");
  library.def(
      "qp_gains_backward(Tensor grad_output, Tensor qp, Tensor table, Tensor bias, float[] qps) "
      "-> (Tensor, Tensor)");
  // For each block of luma (B, 1, H, W), of frames in [0, 1] or in bytes, where it lies in the
  // reference: (B, 2, h, w), x and y in quarter pixels, int16; and the mean absolute difference
  // there, float32. Candidates are int64 vectors that are tried too.
  library.def(
      "block_match(Tensor frame, Tensor reference, Tensor? candidates, int block_size) "
      "-> (Tensor, Tensor)");
  // Blocks moved by such vectors, in planes whose pixels are cell × cell pixels of the luma: to
  // quarters of a pixel for 1, eighths for 2, whole pixels for 4. The backward is the transpose.
  library.def("block_warp(Tensor planes, Tensor vectors, int block_size, int cell) -> Tensor");
  library.def(
      "block_warp_backward(Tensor grad_output, Tensor vectors, int block_size, int cell) "
      "-> Tensor");
  // The compute capability, times ten, of the code in the CUDA library that runs on like's device.
  library.def("cuda_arch(Tensor like) -> Tensor");
}
